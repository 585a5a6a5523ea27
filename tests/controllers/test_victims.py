"""Which pod goes first when there are too many."""

from __future__ import annotations

from meshlab.cluster.embedded.controllers.pods import victims_first

EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"


def pod(name, *, node="meshlab", phase="Running", ready=EARLY, created=EARLY, restarts=0, cost=None):
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": ready}
    annotations = {"controller.kubernetes.io/pod-deletion-cost": cost} if cost else {}
    return {
        "metadata": {"name": name, "creationTimestamp": created, "annotations": annotations},
        "spec": {"nodeName": node},
        "status": {
            "phase": phase,
            "conditions": [condition] if ready else [],
            "containerStatuses": [{"restartCount": restarts}],
        },
    }


def first(*pods):
    return victims_first(list(pods))[0]["metadata"]["name"]


def test_one_without_a_node_goes_before_one_with():
    assert first(pod("placed"), pod("waiting", node="", phase="Pending", ready=None)) == "waiting"


def test_one_that_is_not_ready_goes_before_one_that_is():
    assert first(pod("ready"), pod("unready", ready=None)) == "unready"


def test_a_lower_deletion_cost_goes_first():
    assert first(pod("dear", cost="5"), pod("cheap", cost="-1"), pod("usual")) == "cheap"


def test_one_that_was_ready_for_a_shorter_time_goes_first():
    assert first(pod("old", ready=EARLY), pod("young", ready=LATE)) == "young"


def test_one_that_restarts_goes_before_one_that_does_not():
    assert first(pod("steady"), pod("shaky", restarts=3)) == "shaky"


def test_the_newest_goes_first_of_equals():
    assert first(pod("old"), pod("new", created=LATE)) == "new"
