"""When a schedule is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshlab.cluster.embedded.cron import Schedule, ScheduleError

ZURICH = ZoneInfo("Europe/Zurich")


def after(text, moment, zone=UTC):
    due = Schedule.parse(text).after(datetime.fromisoformat(moment).replace(tzinfo=zone))
    return due and due.strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("text", "moment", "due"),
    [
        ("* * * * *", "2026-02-28 23:59:30", "2026-03-01 00:00"),
        ("*/15 * * * *", "2026-01-01 10:45", "2026-01-01 11:00"),
        ("5/20 9 * * *", "2026-01-01 09:05", "2026-01-01 09:25"),
        ("0 9 * * MON-FRI", "2026-11-20 09:00", "2026-11-23 09:00"),
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00"),
        ("0 0 31 2 *", "2026-01-01 00:00", None),
        ("@monthly", "2026-01-31 12:00", "2026-02-01 00:00"),
        ("0 0 ? JAN,jul ?", "2026-02-01 00:00", "2026-07-01 00:00"),
    ],
)
def test_it_is_due_at_the_next_minute_that_matches(text, moment, due):
    assert after(text, moment) == due


def test_a_date_and_a_weekday_are_alternatives():
    assert after("0 0 13 * FRI", "2026-11-21 00:00") == "2026-11-27 00:00"
    assert after("0 0 13 * FRI", "2026-12-12 00:00") == "2026-12-13 00:00"
    assert after("0 0 13 * *", "2026-11-21 00:00") == "2026-12-13 00:00"


def test_the_clocks_of_its_time_zone_count():
    due = Schedule.parse("0 9 * * *").after(datetime(2026, 7, 1, 0, 0, tzinfo=ZURICH))
    assert due.astimezone(UTC).hour == 7


def test_what_the_clocks_skip_is_not_due_and_what_they_repeat_is_due_twice():
    assert after("30 2 * * *", "2026-03-28 12:00", ZURICH) == "2026-03-30 02:30"
    autumn = datetime(2026, 10, 24, 12, 0, tzinfo=ZURICH)
    first = Schedule.parse("30 2 * * *").after(autumn)
    second = Schedule.parse("30 2 * * *").after(first)
    assert second.astimezone(UTC) - first.astimezone(UTC) == timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("61 * * * *", "end of range (61) above maximum (59): 61"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("L * * * *", 'failed to parse int from L: strconv.Atoi: parsing "L": invalid syntax'),
        ("@often", "unrecognized descriptor: @often"),
        ("@every 1x", 'failed to parse duration @every 1x: time: unknown unit "x" in duration "1x"'),
        ("TZ=UTC * * * * *", "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
    ],
)
def test_what_is_no_schedule_is_refused_in_kubernetes_words(text, why):
    with pytest.raises(ScheduleError) as caught:
        Schedule.parse(text)
    assert str(caught.value) == why


def test_a_period_counts_from_the_last_time():
    every = Schedule.parse("@every 1h30m")
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    assert every.after(begin) == begin + timedelta(minutes=90)
    assert every.last(begin, begin + timedelta(hours=4)) == begin + timedelta(hours=3)
    assert every.last(begin, begin + timedelta(hours=1)) is None


fields = st.tuples(
    st.sampled_from(["*", "*/7", "0", "13,47"]),
    st.sampled_from(["*", "3", "*/5", "22-23"]),
    st.sampled_from(["*", "1", "15", "*/10"]),
    st.sampled_from(["*", "2", "6-8"]),
    st.sampled_from(["*", "0", "1-5"]),
)


@settings(max_examples=20, deadline=None)
@given(fields, st.integers(0, 3 * 24 * 60), st.integers(1, 500))
def test_the_last_due_time_is_the_one_a_search_by_minutes_finds(words, start, minutes):
    schedule = Schedule.parse(" ".join(words))
    since = datetime(2026, 6, 29, tzinfo=UTC) + timedelta(minutes=start)
    until = since + timedelta(minutes=minutes)
    every_minute = [since + timedelta(minutes=number) for number in range(1, minutes + 1)]
    due = [moment for moment in every_minute if schedule.after(moment - timedelta(minutes=1)) == moment]
    assert schedule.last(since, until) == (due[-1] if due else None)
    assert schedule.after(since) == (due[0] if due else schedule.after(until))
