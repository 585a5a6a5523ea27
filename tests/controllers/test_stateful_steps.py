"""The order in which a StatefulSet's pods come and go."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshlab.cluster.embedded.controllers.stateful_pods import new_pod, ordinal
from meshlab.cluster.embedded.controllers.stateful_status import status_of
from meshlab.cluster.embedded.controllers.stateful_steps import next_steps

OLD, NEW = "web-old", "web-new"


def stateful_set(replicas=3, **spec):
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": "n", "uid": "u", "generation": 1},
        "spec": {
            "replicas": replicas,
            "serviceName": "web",
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            **spec,
        },
    }


def pod(number, *, ready=True, revision=NEW, leaving=False, phase="Running"):
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {
        "metadata": {
            "name": f"web-{number}",
            "labels": {"controller-revision-hash": revision},
            **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}),
        },
        "status": {"phase": phase, "conditions": [condition]},
    }


def steps(wanted, pods):
    found = next_steps(wanted, pods, NEW)
    return found.create, [ordinal(pod) for pod in found.delete]


def test_pods_are_made_one_by_one_each_when_the_one_before_is_ready():
    assert steps(stateful_set(), []) == ([0], [])
    assert steps(stateful_set(), [pod(0, ready=False)]) == ([], [])
    assert steps(stateful_set(), [pod(0)]) == ([1], [])


def test_in_parallel_all_are_made_at_once():
    assert steps(stateful_set(podManagementPolicy="Parallel"), [pod(1, ready=False)]) == ([0, 2], [])


def test_the_last_pod_goes_first_and_waits_for_those_before_it():
    everyone = [pod(number) for number in range(3)]
    assert steps(stateful_set(1), everyone) == ([], [2])
    assert steps(stateful_set(1), [pod(0, ready=False), pod(1), pod(2)]) == ([], [])
    assert steps(stateful_set(1), [pod(0), pod(1), pod(2, leaving=True)]) == ([], [])
    assert steps(stateful_set(1), [pod(0), pod(1), pod(2, ready=False)]) == ([], [2])
    assert steps(stateful_set(1, podManagementPolicy="Parallel"), everyone) == ([], [2, 1])


def test_an_update_goes_from_the_last_to_the_first_one_at_a_time():
    old = [pod(number, revision=OLD) for number in range(3)]
    assert steps(stateful_set(), old) == ([], [2])
    assert steps(stateful_set(), [*old[:2], pod(2, ready=False)]) == ([], [])
    assert steps(stateful_set(), [*old[:2], pod(2)]) == ([], [1])
    assert steps(stateful_set(podManagementPolicy="Parallel"), old) == ([], [2])


def test_an_update_leaves_those_below_the_partition_and_all_of_them_on_delete():
    old = [pod(number, revision=OLD) for number in range(3)]
    partitioned = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    assert steps(stateful_set(updateStrategy=partitioned), old) == ([], [2])
    assert steps(stateful_set(updateStrategy=partitioned), [*old[:2], pod(2)]) == ([], [])
    assert steps(stateful_set(updateStrategy={"type": "OnDelete"}), old) == ([], [])


def test_a_pod_that_has_ended_is_made_anew():
    assert steps(stateful_set(1), [pod(0, phase="Failed")]) == ([], [0])
    assert steps(stateful_set(1), [pod(0, phase="Failed", leaving=True)]) == ([], [])


def test_ordinals_may_begin_elsewhere():
    assert steps(stateful_set(2, ordinals={"start": 5}), [pod(5), pod(0)]) == ([6], [])
    assert steps(stateful_set(2, ordinals={"start": 5}), [pod(5), pod(6), pod(0)]) == ([], [0])


def test_a_pod_is_known_by_its_name_its_number_and_its_revision():
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
    made = new_pod(stateful_set(), template, NEW, 2)
    assert made["metadata"]["name"] == "web-2"
    assert made["metadata"]["labels"] == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-2",
        "apps.kubernetes.io/pod-index": "2",
        "controller-revision-hash": NEW,
    }
    assert (made["spec"]["hostname"], made["spec"]["subdomain"]) == ("web-2", "web")
    assert template == {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}


def test_an_update_is_over_when_all_pods_have_it_and_are_ready():
    pods = [pod(0, revision=OLD), pod(1), pod(2)]
    status = status_of(stateful_set(), pods, OLD, NEW)
    assert (status["currentRevision"], status["currentReplicas"], status["updatedReplicas"]) == (OLD, 1, 2)
    status = status_of(stateful_set(), [pod(number) for number in range(3)], OLD, NEW)
    assert (status["currentRevision"], status["currentReplicas"]) == (NEW, 3)


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
@settings(max_examples=60)
@given(have=st.lists(st.sampled_from([OLD, NEW]), max_size=6), replicas=st.integers(0, 6))
def test_step_by_step_every_set_comes_to_rest_as_wanted(policy, have, replicas):
    wanted = stateful_set(replicas, podManagementPolicy=policy)
    pods = {number: pod(number, revision=revision) for number, revision in enumerate(have)}
    for _ in range(40):
        create, delete = steps(wanted, list(pods.values()))
        if not create and not delete:
            break
        if policy == "OrderedReady":
            assert len(create) + len(delete) == 1
        for number in delete:
            del pods[number]
        pods |= {number: pod(number) for number in create}
    revisions = {number: found["metadata"]["labels"]["controller-revision-hash"] for number, found in pods.items()}
    assert revisions == dict.fromkeys(range(replicas), NEW)
