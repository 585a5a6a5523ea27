"""Which ReplicaSet is which version of a Deployment?"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from meshlab.cluster.embedded.controllers.owners import reference_to
from meshlab.kube import Object
from meshlab.kube.objects import labels_of

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"

_NOT_COPIED = {
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
}
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no look-alikes: a hash never spells a word."""


def template_hash(deployment: Object) -> str:
    """Ten letters that tell one pod template from another."""
    collisions = (deployment.get("status") or {}).get("collisionCount", 0)
    text = json.dumps([deployment["spec"]["template"], collisions], sort_keys=True)
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in hashlib.sha256(text.encode()).digest()[:10])


def newest(deployment: Object, replica_sets: list[Object]) -> Object | None:
    """The ReplicaSet that has the Deployment's present template; the oldest of several."""
    wanted = _without_hash(deployment["spec"]["template"])
    same = [found for found in replica_sets if _without_hash(found["spec"]["template"]) == wanted]
    return min(same, key=by_age, default=None)


def by_age(obj: Object) -> tuple[str, str]:
    """Sorting key: oldest first."""
    return obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]


def revision_of(obj: Object) -> int:
    """The revision an object is annotated with; 0 for none."""
    return int(annotations_of(obj).get(REVISION, "0"))


def annotations_of(obj: Object) -> Mapping[str, str]:
    """An object's annotations; empty when it has none."""
    return obj["metadata"].get("annotations") or {}


def next_revision(replica_sets: list[Object]) -> int:
    """One more than the highest so far."""
    return max((revision_of(found) for found in replica_sets), default=0) + 1


def new_replica_set(deployment: Object, revision: int, replicas: int, max_replicas: int) -> Object:
    """The ReplicaSet for the Deployment's present template."""
    metadata, spec, name = deployment["metadata"], deployment["spec"], template_hash(deployment)
    template = copy.deepcopy(spec["template"])
    template.setdefault("metadata", {})["labels"] = {**labels_of(template), HASH_LABEL: name}
    selector = copy.deepcopy(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: name}
    copied = {key: value for key, value in annotations_of(deployment).items() if key not in _NOT_COPIED}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{name}",
            "namespace": metadata["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": copied
            | {
                REVISION: str(revision),
                DESIRED_REPLICAS: str(spec["replicas"]),
                MAX_REPLICAS: str(max_replicas),
            },
            "ownerReferences": [reference_to(deployment)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": selector,
            "template": template,
        },
    }


def annotations_for_reuse(deployment: Object, replica_set: Object, revision: int) -> dict[str, str]:
    """What changes in a ReplicaSet's annotations when its template becomes the present one (again)."""
    have = annotations_of(replica_set)
    wanted = {key: value for key, value in annotations_of(deployment).items() if key not in _NOT_COPIED}
    before = have.get(REVISION, "")
    if int(before or 0) < revision:
        wanted[REVISION] = str(revision)
        if before:
            history = [*filter(None, have.get(REVISION_HISTORY, "").split(",")), before]
            wanted[REVISION_HISTORY] = ",".join(history)
    return {key: value for key, value in wanted.items() if have.get(key) != value}


def _without_hash(template: Mapping[str, Any]) -> dict[str, Any]:
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {key: value for key, value in labels_of(dict(template)).items() if key != HASH_LABEL}
    metadata.pop("creationTimestamp", None)
    return {**template, "metadata": metadata}
