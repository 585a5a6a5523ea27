"""What would run, by this YAML? Workloads become the pods they would make, Services the endpoints they would have.

So the questions that a running lab answers can be asked of a folder, before anything is applied: one pod stands
for all that a workload would make, ready and with a sidecar where the injector would give it one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from meshlab.injector.decision import PROXY_UUID, wants_sidecar
from meshlab.kube import Object, labels_of, matches_labels
from meshlab.kube.objects import ENDPOINT_SLICE, SERVICE_ACCOUNT
from meshlab.lab.reading import Known, know
from meshlab.policy.objects import namespace_of

_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"})
_SERVICE_NAME = "kubernetes.io/service-name"
_MANY = 250


def of_objects(objects: Iterable[Object]) -> Known:
    """What these objects add up to, had a cluster acted on them."""
    given = [_in_a_namespace(obj) for obj in objects]
    namespaces = {obj["metadata"]["name"]: obj for obj in given if obj["kind"] == "Namespace"}
    pods = [_placed(pod, number, namespaces) for number, pod in enumerate(_pods(given))]
    slices = [piece for obj in given if obj["kind"] == "Service" for piece in _slices(obj, pods)]
    accounts = [_default_account(name) for name in sorted({pod["metadata"]["namespace"] for pod in pods})]
    return know([*accounts, *(obj for obj in given if obj["kind"] != "Pod"), *pods, *slices])


def _in_a_namespace(obj: Object) -> Object:
    if obj["kind"] in {"Namespace", "Node", "CustomResourceDefinition"}:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace_of(obj)}}


def _pods(objects: Iterable[Object]) -> Iterator[Object]:
    for obj in objects:
        if obj["kind"] == "Pod":
            yield obj
        elif obj["kind"] in _WORKLOADS:
            spec = obj["spec"]
            template = (spec["jobTemplate"]["spec"] if obj["kind"] == "CronJob" else spec)["template"]
            metadata = {
                **(template.get("metadata") or {}),
                "name": obj["metadata"]["name"],
                "namespace": obj["metadata"]["namespace"],
                "ownerReferences": [{"kind": obj["kind"], "name": obj["metadata"]["name"], "controller": True}],
            }
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _placed(pod: Object, number: int, namespaces: Mapping[str, Object]) -> Object:
    """The pod with an address, and with the injector's label where it would get a sidecar."""
    metadata = pod["metadata"]
    namespace = namespaces.get(metadata["namespace"], {"metadata": {"name": metadata["namespace"]}})
    labels = dict(labels_of(pod))
    if wants_sidecar(pod, namespace).inject:
        labels[PROXY_UUID] = "it-would-have-one"
    address = f"10.0.{number // _MANY}.{number % _MANY + 1}"
    return {**pod, "metadata": {**metadata, "labels": labels}, "status": {"phase": "Running", "podIP": address}}


def _slices(service: Object, pods: Iterable[Object]) -> Iterator[Object]:
    """One EndpointSlice for each pod behind a Service: a port's name may mean another number in each."""
    metadata, spec = service["metadata"], service.get("spec") or {}
    for pod in pods:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        if namespace != metadata["namespace"] or not matches_labels(spec.get("selector") or {}, labels_of(pod)):
            continue
        yield {
            "apiVersion": ENDPOINT_SLICE.api_version,
            "kind": ENDPOINT_SLICE.kind,
            "metadata": {
                "name": f"{metadata['name']}-{name}",
                "namespace": namespace,
                "labels": {_SERVICE_NAME: metadata["name"]},
            },
            "ports": [
                {"name": port.get("name") or "", "port": number}
                for port in spec.get("ports") or []
                if (number := _target(port, pod))
            ],
            "endpoints": [{"addresses": [pod["status"]["podIP"]], "targetRef": {"kind": "Pod", "name": name}}],
        }


def _target(port: Mapping[str, Any], pod: Object) -> int | None:
    wanted = port.get("targetPort", port["port"])
    if isinstance(wanted, int):
        return wanted
    named = {
        row.get("name"): row["containerPort"] for item in pod["spec"]["containers"] for row in item.get("ports") or []
    }
    return named.get(wanted)


def _default_account(namespace: str) -> Object:
    metadata = {"name": "default", "namespace": namespace}
    return {"apiVersion": SERVICE_ACCOUNT.api_version, "kind": SERVICE_ACCOUNT.kind, "metadata": metadata}
