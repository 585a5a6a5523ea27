"""What does an object say, if neither it nor anything that was looked up for it has changed? What it said before."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from operator import is_
from typing import Any, Generic, TypeVar

from meshlab.kube import Object
from meshlab.mesh.latest import kept
from meshlab.policy.objects import Claims, Objects

_Said = TypeVar("_Said")

_Question = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry(Generic[_Said]):
    given: tuple[Any, ...]
    answers: Mapping[_Question, object]
    said: _Said


class Memory(Generic[_Said]):
    """What the objects of one policy language said when they were last read.

    A change to one of a thousand policies costs the reading of that one and of those that refer to it.
    """

    def __init__(self) -> None:
        self._entries: dict[int, _Entry[_Said]] = {}
        self._of: dict[str, tuple[Object, ...]] = {}

    def begin(self, known: Objects) -> Reading[_Said]:
        """Read once more. What is not asked for this time is forgotten."""
        before, self._entries = self._entries, {}
        self._of = {kind: kept(last, tuple(known.of(kind))) for kind, last in self._of.items()}
        return Reading(known, before, self._entries, self._of)


class Reading(Generic[_Said]):
    """One time of reading all objects."""

    def __init__(
        self,
        known: Objects,
        before: Mapping[int, _Entry[_Said]],
        entries: dict[int, _Entry[_Said]],
        of: dict[str, tuple[Object, ...]],
    ) -> None:
        self._known = known
        self._before = before
        self._entries = entries
        self._of = of

    def of(self, obj: Object, read: Callable[[Objects], _Said], *given: object) -> _Said:
        """What `read` makes of an object, which it looks other objects up for; `given` is what else it depends on."""
        depends = (obj, *given)
        entry = self._before.get(id(obj))
        if entry is None or not self._holds(entry, depends):
            watched = _Watched(self._known, self._answer)
            entry = _Entry(depends, watched.answers, read(watched))
        self._entries[id(obj)] = entry
        return entry.said

    def _holds(self, entry: _Entry[_Said], depends: tuple[object, ...]) -> bool:
        return (
            len(entry.given) == len(depends)
            and all(map(is_, entry.given, depends))
            and all(self._answer(question) is answer for question, answer in entry.answers.items())
        )

    def _answer(self, question: _Question) -> object:
        """The very same object as long as the answer is the same."""
        what, kind, *name = question
        if what == "get":
            return self._known.get(kind, *name)
        if what == "lacks":
            return self._known.lacks(kind, *name)
        if kind not in self._of:
            self._of[kind] = tuple(self._known.of(kind))
        return self._of[kind]


class _Watched(Objects):
    """Objects that note what is looked up among them."""

    def __init__(self, known: Objects, answer: Callable[[_Question], object]) -> None:
        self._known = known
        self._answer = answer
        self.answers: dict[_Question, object] = {}

    def _note(self, *question: str) -> Any:
        answer = self.answers[question] = self._answer(question)
        return answer

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        found: Object | None = self._note("get", kind, namespace, name)
        return found

    def of(self, kind: str) -> Iterator[Object]:
        return iter(self._note("of", kind))

    def claimed(self, kind: str, claims: Claims) -> Mapping[Hashable, Object]:
        self._note("of", kind)
        return self._known.claimed(kind, claims)

    def lacks(self, kind: str, namespace: str, name: str) -> bool:
        return bool(self._note("lacks", kind, namespace, name))
