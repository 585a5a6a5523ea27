"""How is each thing built once, however many proxies are told of it?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import ref

_Built = TypeVar("_Built")

_Key = tuple[tuple[int, ...], tuple[tuple[str, Any], ...]]


def once(build: Callable[..., _Built]) -> Callable[..., _Built]:
    """Remember what was built of the very same objects, for as long as somebody uses it.

    Positional arguments are told apart by which object they are, not by what they hold: to look into a thousand
    endpoints for each of a thousand proxies costs more than to build them once. Keyword arguments are told apart
    by value. What is equal but not the same is built again, and has the same version.
    """
    remembered: dict[_Key, tuple[ref[_Built], tuple[Any, ...]]] = {}
    """The arguments are kept beside what was built, so that no other object can take their place in memory."""

    def remember(*args: Any, **options: Any) -> _Built:
        key = tuple(map(id, args)), tuple(options.items())
        if (known := remembered.get(key)) and (built := known[0]()) is not None:
            return built
        built = build(*args, **options)
        if built is not None:
            remembered[key] = ref(built, lambda gone: _forget(key, gone)), args
        return built

    def _forget(key: _Key, gone: ref[_Built]) -> None:
        if key in remembered and remembered[key][0] is gone:
            del remembered[key]

    remember.cache_clear = remembered.clear  # type: ignore[attr-defined]
    return remember
