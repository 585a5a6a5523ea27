"""How is nothing worked out anew from what is still the same?"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import wraps
from operator import is_
from typing import Any, ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")
_Item = TypeVar("_Item")

_KEPT = 8
"""The worlds of one control plane follow each other; a few more may be imagined beside it (`what_if`)."""


def latest(function: Callable[_Arguments, _Answer]) -> Callable[_Arguments, _Answer]:
    """Remember the latest answers of a pure function: for the very same objects it gives the very same answer.

    Arguments are told apart by which object they are, so that asking costs nothing, however much they hold.
    """
    answers: OrderedDict[tuple[int, ...], tuple[tuple[Any, ...], _Answer]] = OrderedDict()

    @wraps(function)
    def remember(*args: _Arguments.args, **options: _Arguments.kwargs) -> _Answer:
        given = (*args, *options.values())
        key = tuple(map(id, given))
        if key not in answers:
            answers[key] = given, function(*args, **options)
            while len(answers) > _KEPT:
                answers.popitem(last=False)
        answers.move_to_end(key)
        return answers[key][1]

    return remember


@latest
def alike(*items: _Item) -> tuple[_Item, ...]:
    """The items as a tuple: the very same tuple for the very same items."""
    return items


def kept(before: tuple[_Item, ...], now: Sequence[_Item]) -> tuple[_Item, ...]:
    """`now`; the very tuple of `before` where it has the very same items."""
    same = len(before) == len(now) and all(map(is_, before, now))
    return before if same else tuple(now)
