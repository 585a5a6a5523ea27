"""How many pods may each version of a Deployment have at this moment? Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

from meshlab.cluster.embedded.controllers.revisions import DESIRED_REPLICAS, MAX_REPLICAS, annotations_of, by_age
from meshlab.kube import Object


@dataclass(frozen=True, slots=True)
class Limits:
    """What a rolling update keeps to: at most `total` pods, at least `available` of them available."""

    desired: int
    surge: int
    unavailable: int

    @property
    def total(self) -> int:
        """The most pods at once; a Deployment scaled to zero has none to spare."""
        return self.desired + self.surge if self.desired else 0

    @property
    def available(self) -> int:
        """The fewest available pods."""
        return self.desired - self.unavailable


def limits_of(deployment: Object) -> Limits:
    """What a Deployment's strategy allows. With neither surge nor unavailability no rollout would end: one may miss."""
    spec = deployment["spec"]
    desired, strategy = spec["replicas"], spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Limits(desired, 0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = math.ceil(_share(rolling.get("maxSurge", "25%"), desired))
    unavailable = math.floor(_share(rolling.get("maxUnavailable", "25%"), desired))
    return Limits(desired, surge, min(unavailable or (0 if surge else 1), desired))


def _share(value: int | str, whole: int) -> float:
    return value if isinstance(value, int) else int(value.rstrip("%")) * whole / 100


def replicas(replica_set: Object) -> int:
    """How many pods a ReplicaSet is told to have."""
    return int(replica_set["spec"]["replicas"])


def available(replica_set: Object) -> int:
    """How many of its pods are available."""
    return int((replica_set.get("status") or {}).get("availableReplicas", 0))


def scale_up(limits: Limits, new: Object, everything: list[Object]) -> int:
    """How many pods the new version may have by now."""
    room = limits.total - sum(map(replicas, everything))
    if replicas(new) >= limits.desired:
        return limits.desired
    return replicas(new) + max(0, min(room, limits.desired - replicas(new)))


def scale_down(limits: Limits, new: Object, old: list[Object]) -> dict[str, int]:
    """How many pods each old version keeps, by name: the unavailable go first, then the oldest."""
    everything = [*old, new]
    not_yet_available = replicas(new) - available(new)
    spare = sum(map(replicas, everything)) - limits.available - not_yet_available
    keep = {found["metadata"]["name"]: replicas(found) for found in old}
    if spare <= 0:
        return keep
    for found in sorted(old, key=by_age):
        broken = min(spare, replicas(found) - available(found))
        keep[found["metadata"]["name"]] -= max(0, broken)
        spare -= max(0, broken)
    spare = min(spare, sum(map(available, everything)) - limits.available)
    for found in sorted(old, key=by_age):
        fewer = max(0, min(spare, keep[found["metadata"]["name"]]))
        keep[found["metadata"]["name"]] -= fewer
        spare -= fewer
    return keep


def is_saturated(limits: Limits, replica_set: Object | None) -> bool:
    """Whether a version has all the pods of the Deployment, available."""
    if replica_set is None:
        return False
    told = annotations_of(replica_set).get(DESIRED_REPLICAS)
    return replicas(replica_set) == limits.desired == available(replica_set) and told == str(limits.desired)


def in_proportion(limits: Limits, active: list[Object]) -> dict[str, int]:
    """How many pods each version gets when a Deployment is scaled in the middle of a rollout: each its share."""
    sizes = {found["metadata"]["name"]: replicas(found) for found in active}
    to_add = limits.total - sum(sizes.values())
    largest_first = sorted(active, key=lambda found: (-replicas(found), by_age(found)))
    left = to_add
    for found in largest_first:
        if not left:
            break
        before = int(annotations_of(found).get(MAX_REPLICAS, "0")) or sum(map(replicas, active)) or 1
        share = round(replicas(found) * limits.total / before) - replicas(found)
        share = max(0, min(share, left)) if to_add > 0 else min(0, max(share, left))
        sizes[found["metadata"]["name"]] += share
        left -= share
    if left and largest_first:
        name = largest_first[0]["metadata"]["name"]
        sizes[name] = max(0, sizes[name] + left)
    return sizes
