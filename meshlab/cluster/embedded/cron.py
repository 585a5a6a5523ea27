"""When is a schedule due next? The five fields of cron, as Kubernetes reads them (and words what is wrong)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

_MINUTE = timedelta(minutes=1)
_SEARCHED = timedelta(days=5 * 366)
"""What is not due within five years never is: `0 0 31 2 *`."""


class ScheduleError(ValueError):
    """The text is no schedule."""


class _Bounds(NamedTuple):
    first: int
    last: int
    names: tuple[str, ...] = ()
    """Of the numbers, from `first` on."""


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (_Bounds(0, 59), _Bounds(0, 23), _Bounds(1, 31), _Bounds(1, 12, _MONTHS), _Bounds(0, 6, _WEEKDAYS))
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes, hours, days, months and weekdays of a schedule; or a period, for `@every 90m`."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    both: bool = True
    """A day has to match by date and by weekday, because one of the two is any; else one of them is enough."""
    every: timedelta | None = None

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read a schedule. Raises ScheduleError."""
        if "TZ" in text:
            raise ScheduleError("cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
        if text.startswith(_EVERY):
            seconds = max(1, int(_duration(text.removeprefix(_EVERY), text)))
            return cls(every=timedelta(seconds=seconds))
        if text.startswith("@"):
            if text not in _DESCRIPTORS:
                raise ScheduleError(f"unrecognized descriptor: {text}")
            text = _DESCRIPTORS[text]
        words = text.split()
        if len(words) != len(_FIELDS):
            raise ScheduleError(f"expected exactly 5 fields, found {len(words)}: [{' '.join(words)}]")
        fields = [_field(word, bounds) for word, bounds in zip(words, _FIELDS, strict=True)]
        minutes, hours, days, months, weekdays = (numbers for numbers, _ in fields)
        return cls(minutes, hours, days, months, weekdays, both=fields[2][1] or fields[4][1])

    def after(self, moment: datetime) -> datetime | None:
        """The first time that is due after a moment, by the clocks of its time zone; None for never.

        A time that the clocks skip in spring is not due; one that they show twice in autumn is due twice.
        """
        if self.every:
            return moment.replace(microsecond=0) + self.every
        at = moment.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
        end = at + _SEARCHED
        while at < end:
            local = at.astimezone(moment.tzinfo)
            if not self._is_on(local):
                midnight = datetime.combine(local.date() + timedelta(days=1), time.min, moment.tzinfo)
                at = midnight.astimezone(UTC)
            elif local.hour not in self.hours:
                at += (60 - local.minute) * _MINUTE
            elif local.minute not in self.minutes:
                at += _MINUTE
            else:
                return local
        return None

    def last(self, since: datetime, until: datetime) -> datetime | None:
        """The last time that is due after `since` and not after `until`; None when none is."""
        if self.every:
            periods = (until - since) // self.every
            return since.replace(microsecond=0) + periods * self.every if periods > 0 else None
        stretch = _MINUTE
        while True:
            begin = max(since, until - stretch)
            due = self.after(begin)
            if due and due <= until:
                while (following := self.after(due)) and following <= until:
                    due = following
                return due
            if begin == since:
                return None
            stretch *= 2

    def _is_on(self, local: datetime) -> bool:
        by_date, by_weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        matches = by_date and by_weekday if self.both else by_date or by_weekday
        return local.month in self.months and matches


def _field(text: str, bounds: _Bounds) -> tuple[frozenset[int], bool]:
    """The numbers of a field, and whether it is any."""
    parts = [_range(part, bounds) for part in text.split(",") if part]
    return frozenset(number for numbers, _ in parts for number in numbers), any(is_any for _, is_any in parts)


def _range(text: str, bounds: _Bounds) -> tuple[range, bool]:
    """`*`, `5`, `1-5`, `MON-FRI`, `*/10`, `5/15` (from 5 on), `0-30/5`."""
    ends, *steps = text.split("/")
    low, *high = ends.split("-")
    is_any = low in ("*", "?")
    if is_any:
        first, last = bounds.first, bounds.last
    else:
        if len(high) > 1:
            raise ScheduleError(f"too many hyphens: {text}")
        first = _number(low, bounds)
        last = _number(high[0], bounds) if high else bounds.last if steps else first
    if len(steps) > 1:
        raise ScheduleError(f"too many slashes: {text}")
    step = _number(steps[0]) if steps else 1
    if first < bounds.first:
        raise ScheduleError(f"beginning of range ({first}) below minimum ({bounds.first}): {text}")
    if last > bounds.last:
        raise ScheduleError(f"end of range ({last}) above maximum ({bounds.last}): {text}")
    if first > last:
        raise ScheduleError(f"beginning of range ({first}) beyond end of range ({last}): {text}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {text}")
    return range(first, last + 1, step), is_any and step == 1


def _number(text: str, bounds: _Bounds | None = None) -> int:
    if bounds and text.lower() in bounds.names:
        return bounds.names.index(text.lower()) + bounds.first
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if int(text) < 0:
        raise ScheduleError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)


def _duration(text: str, about: str) -> float:
    """The seconds of `1h30m`."""
    parts = re.findall(r"([0-9]*\.?[0-9]+)([a-zµ]+)", text)
    if not text or "".join(number + unit for number, unit in parts) != text:
        raise ScheduleError(f'failed to parse duration {about}: time: invalid duration "{text}"')
    unknown = next((unit for _, unit in parts if unit not in _SECONDS), None)
    if unknown:
        raise ScheduleError(f'failed to parse duration {about}: time: unknown unit "{unknown}" in duration "{text}"')
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
