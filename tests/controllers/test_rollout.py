"""The arithmetic of a rollout."""

from __future__ import annotations

import pytest

from meshlab.cluster.embedded.controllers import rollout
from meshlab.kube import Object


def deployment(replicas: int, surge: int | str = "25%", unavailable: int | str = "25%") -> Object:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}}


def replica_set(
    name: str, replicas: int, available: int, age: str = "2026-01-01T00:00:00Z", **annotations: str
) -> Object:
    return {
        "metadata": {"name": name, "creationTimestamp": age, "annotations": annotations},
        "spec": {"replicas": replicas},
        "status": {"availableReplicas": available},
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "most", "fewest"),
    [
        (1, "25%", "25%", 2, 1),
        (4, "25%", "25%", 5, 3),
        (10, "25%", "25%", 13, 8),
        (3, 0, 1, 3, 2),
        (3, 0, 0, 3, 2),
        (3, 0, 9, 3, 0),
        (0, "25%", "25%", 0, 0),
    ],
)
def test_a_surge_is_rounded_up_and_an_unavailability_down(replicas, surge, unavailable, most, fewest):
    limits = rollout.limits_of(deployment(replicas, surge, unavailable))
    assert (limits.total, limits.available) == (most, fewest)


def test_recreate_has_neither_surge_nor_spare():
    limits = rollout.limits_of({"spec": {"replicas": 3, "strategy": {"type": "Recreate"}}})
    assert (limits.total, limits.available) == (3, 3)


def test_a_new_version_grows_into_the_room_there_is():
    limits = rollout.limits_of(deployment(4))
    new, old = replica_set("new", 0, 0), replica_set("old", 4, 4)
    assert rollout.scale_up(limits, new, [old, new]) == 1
    assert rollout.scale_up(limits, replica_set("new", 6, 6), [new]) == 4


def test_old_pods_that_never_worked_go_before_those_that_serve():
    limits = rollout.limits_of(deployment(4, 1, 1))
    broken, good = replica_set("broken", 2, 0), replica_set("good", 2, 2, "2026-02-01T00:00:00Z")
    keep = rollout.scale_down(limits, replica_set("new", 1, 1), [broken, good])
    assert keep == {"broken": 0, "good": 2}


def test_no_old_pod_goes_while_the_new_ones_are_not_available():
    limits = rollout.limits_of(deployment(2, 1, 0))
    keep = rollout.scale_down(limits, replica_set("new", 1, 0), [replica_set("old", 2, 2)])
    assert keep == {"old": 2}


def test_scaling_in_mid_rollout_gives_each_version_its_share():
    limits = rollout.limits_of(deployment(20, 0, 1))
    told = {"deployment.kubernetes.io/max-replicas": "10"}
    sizes = rollout.in_proportion(limits, [replica_set("old", 8, 8, **told), replica_set("new", 2, 2, **told)])
    assert sizes == {"old": 16, "new": 4}


def test_proportions_always_add_up():
    told = {"deployment.kubernetes.io/max-replicas": "9"}
    for replicas in range(1, 30):
        limits = rollout.limits_of(deployment(replicas))
        sizes = rollout.in_proportion(limits, [replica_set(str(i), 3, 3, **told) for i in range(3)])
        assert sum(sizes.values()) == limits.total
        assert min(sizes.values()) >= 0
