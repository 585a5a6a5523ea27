"""Which pod is number 2 of a StatefulSet? Its name, its labels, and the names it is reached by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshlab.cluster.embedded.controllers.history import POD_LABEL
from meshlab.cluster.embedded.controllers.pod_control import pod_of
from meshlab.kube import Object
from meshlab.kube.objects import labels_of

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"


def wanted(stateful_set: Object) -> range:
    """The ordinals that are to be there."""
    spec = stateful_set["spec"]
    start = (spec.get("ordinals") or {}).get("start", 0)
    return range(start, start + spec["replicas"])


def ordinal(pod: Object) -> int:
    """A pod's number; -1 for a name that no StatefulSet gives."""
    number = pod["metadata"]["name"].rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


def revision_of(pod: Object) -> str:
    """The name of the revision a pod was made from."""
    return labels_of(pod).get(POD_LABEL, "")


def new_pod(stateful_set: Object, template: Mapping[str, Any], revision: str, number: int) -> Object:
    """The pod with an ordinal, from a revision's template. Its host name and the Service's make its DNS name."""
    name = f"{stateful_set['metadata']['name']}-{number}"
    pod = pod_of(stateful_set, template, name)
    own = {NAME_LABEL: name, INDEX_LABEL: str(number), POD_LABEL: revision}
    pod["metadata"]["labels"] = {**labels_of(pod), **own}
    pod["spec"]["hostname"] = name
    if service := stateful_set["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = service
    return pod
