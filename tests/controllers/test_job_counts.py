"""What a Job's pods say of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlab.cluster.embedded.controllers import job_status as progress
from meshlab.cluster.embedded.controllers.job_pods import FINALIZER, INDEX, index_text, indexes, new_pods


def stamp(seconds_ago=0.0):
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(status=None, **spec):
    template = {"metadata": {"labels": {"app": "work"}}, "spec": {"restartPolicy": "Never", "containers": [{}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work", "namespace": "n", "uid": "u"},
        "spec": {"parallelism": 1, "completions": 1, "backoffLimit": 6, "template": template, **spec},
        "status": status or {},
    }


def pod(uid, phase="Running", *, index=None, tracked=True, leaving=False, ended=0.0):
    metadata = {"uid": uid, "name": uid, "finalizers": [FINALIZER] if tracked else []}
    if index is not None:
        metadata["annotations"] = {INDEX: str(index)}
    if leaving:
        metadata["deletionTimestamp"] = stamp()
    rows = [{"state": {"terminated": {"finishedAt": stamp(ended)}}}] if phase in ("Failed", "Succeeded") else []
    return {"metadata": metadata, "spec": {}, "status": {"phase": phase, "containerStatuses": rows}}


def settled(wanted, *pods):
    noted = progress.note_ended(wanted, list(pods))
    return progress.counted({**wanted, "status": noted}, list(pods))


def test_a_pod_is_noted_before_it_is_counted_and_counted_once():
    noted = progress.note_ended(job(), [pod("a", "Succeeded")])
    assert noted["uncountedTerminatedPods"] == {"succeeded": ["a"]}
    assert progress.note_ended(job(noted), [pod("a", "Succeeded")]) == noted
    counted = progress.counted(job(noted), [pod("a", "Succeeded", tracked=False)])
    assert (counted["succeeded"], counted["uncountedTerminatedPods"]) == (1, {})
    assert progress.note_ended(job(counted), [pod("a", "Succeeded", tracked=False)]) == counted


def test_a_pod_that_was_deleted_is_a_failure_unless_the_job_waits_for_its_end_or_is_suspended():
    gone = pod("a", leaving=True)
    assert settled(job(), gone)["failed"] == 1
    assert settled(job(podReplacementPolicy="Failed"), gone)["failed"] == 0
    assert settled(job(suspend=True), gone)["failed"] == 0


def test_a_number_is_done_once_however_many_pods_did_it():
    wanted = job(completionMode="Indexed", completions=3)
    status = settled(wanted, pod("a", "Succeeded", index=0), pod("b", "Succeeded", index=0), pod("c", index=2))
    assert (status["completedIndexes"], status["succeeded"], status["active"]) == ("0", 1, 1)


def test_new_pods_take_the_lowest_numbers_that_are_free():
    wanted = job(completionMode="Indexed", completions=5)
    made = list(new_pods(wanted, 2, [pod("c", index=1)], {0}))
    assert [found["metadata"]["annotations"][INDEX] for found in made] == ["2", "3"]
    assert made[0]["metadata"]["generateName"] == "work-2-"
    assert made[0]["spec"]["hostname"] == "work-2"
    assert made[0]["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    assert "env" not in wanted["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("status", "spec", "reason"),
    [
        ({"succeeded": 1}, {}, "CompletionsReached"),
        ({"succeeded": 1}, {"completions": 2}, None),
        ({"succeeded": 1, "active": 1}, {"completions": None}, None),
        ({"succeeded": 1}, {"completions": None}, "CompletionsReached"),
        ({"failed": 6}, {}, None),
        ({"failed": 7}, {}, "BackoffLimitExceeded"),
        ({"startTime": stamp(999)}, {"activeDeadlineSeconds": 900}, "DeadlineExceeded"),
        ({"startTime": stamp(1)}, {"activeDeadlineSeconds": 900}, None),
    ],
)
def test_a_job_ends_when_its_work_is_done_or_given_up(status, spec, reason):
    found = progress.verdict(job(**spec), {"succeeded": 0, "failed": 0, "active": 0, **status}, [])
    assert (found and found.reason) == reason


def test_a_verdict_that_was_announced_stands():
    announced = progress.with_condition({}, "FailureTarget", "True", "DeadlineExceeded", "")
    status = {"succeeded": 1, "failed": 0, "active": 0, **announced}
    assert progress.verdict(job(), status, []).reason == "DeadlineExceeded"


@pytest.mark.parametrize(
    ("spec", "active", "succeeded", "missing"),
    [
        ({"parallelism": 3, "completions": 5}, 0, 0, 3),
        ({"parallelism": 3, "completions": 5}, 1, 4, 0),
        ({"parallelism": 1, "completions": 5}, 3, 0, -2),
        ({"parallelism": 3, "completions": None}, 2, 1, 0),
        ({"parallelism": 0, "completions": 5}, 2, 0, -2),
    ],
)
def test_there_are_as_many_pods_as_may_be_and_as_there_is_work(spec, active, succeeded, missing):
    status = {"active": active, "succeeded": succeeded, "terminating": 0}
    assert progress.missing(job(**spec), status) == missing


def test_each_failure_in_a_row_doubles_the_wait():
    failures = [pod(str(number), "Failed", ended=60 - number) for number in range(3)]
    assert progress.seconds_to_retry(failures[:1]) == 0
    assert 0 < progress.seconds_to_retry([pod("a", "Failed")]) <= 10
    assert 10 < progress.seconds_to_retry([pod("a", "Failed"), pod("b", "Failed")]) <= 20
    assert progress.seconds_to_retry([*failures, pod("z", "Succeeded")]) == 0


@given(st.sets(st.integers(0, 40)))
def test_numbers_are_written_and_read_back(numbers):
    assert indexes(index_text(numbers)) == numbers


def test_runs_of_numbers_are_written_short():
    assert index_text({0, 1, 2, 5, 7, 8}) == "0-2,5,7,8"
