"""What is installed is plain YAML with one image, and the control plane asks for no more rights than it needs."""

from __future__ import annotations

from typing import Any

import pytest

from meshlab import manifests
from meshlab.controlplane import webhooks
from meshlab.controlplane.badge import LABEL
from meshlab.controlplane.plane import Ports
from meshlab.controlplane.reader import CORE_KINDS
from meshlab.injector import wants_sidecar
from meshlab.kube import Object
from meshlab.policy import languages

FOLDERS = ("crds", "control-plane", "demo", "demo/policies")
WORKLOADS = {"Deployment", "StatefulSet"}
READ = {"get", "list", "watch"}


def find(folder: str, kind: str, name: str) -> Object:
    return next(obj for obj in manifests.read(folder) if (obj["kind"], obj["metadata"]["name"]) == (kind, name))


def containers(folder: str) -> list[dict[str, Any]]:
    workloads = [obj for obj in manifests.read(folder, image="meshlab:9") if obj["kind"] in WORKLOADS]
    return [container for obj in workloads for container in obj["spec"]["template"]["spec"]["containers"]]


@pytest.mark.parametrize("folder", ["control-plane", "demo"])
def test_every_container_runs_the_one_image(folder: str) -> None:
    assert {container["image"] for container in containers(folder)} == {"meshlab:9"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_object_is_there_twice(folder: str) -> None:
    keys = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in manifests.read(folder)]
    assert len(keys) == len(set(keys))


def test_the_demo_has_six_programs_each_with_a_probe() -> None:
    assert len(containers("demo")) == 6
    assert all("readinessProbe" in container for container in containers("demo"))


def test_every_namespace_of_the_demo_joins_the_mesh() -> None:
    pod: Object = {"metadata": {}, "spec": {"containers": []}}
    namespaces = [obj for obj in manifests.read("demo") if obj["kind"] == "Namespace"]
    assert len(namespaces) == 4
    assert all(wants_sidecar(pod, namespace).inject for namespace in namespaces)


def test_the_mesh_never_injects_into_its_own_namespace() -> None:
    pod: Object = {"metadata": {}, "spec": {"containers": []}}
    assert not wants_sidecar(pod, find("control-plane", "Namespace", "meshlab-system")).inject


def test_the_policies_of_the_demo_are_sound() -> None:
    objects = [*manifests.read("demo"), *manifests.read("demo/policies"), *manifests.read("control-plane")]
    assert [f for language in languages() for obj in objects for f in language.validate(obj, objects)] == []


def test_the_control_plane_may_read_what_it_watches_and_write_only_what_is_its_own() -> None:
    rules = find("control-plane", "ClusterRole", "meshlab-controller")["rules"]
    watched = {(kind.group, kind.plural) for kind in CORE_KINDS}
    for language in languages():
        watched |= {(kind.group, kind.plural) for kind in (*language.kinds, *language.refers_to)}
    reading = [rule for rule in rules if set(rule["verbs"]) == READ]
    readable = {(rule["apiGroups"][0], name) for rule in reading for name in rule["resources"]}
    assert readable == watched
    others = {(*rule["resources"], *rule.get("resourceNames", ())) for rule in rules if rule not in reading}
    assert others == {
        ("upstreamtrafficsettings/status", "ingressbackends/status"),
        ("proxyoverlays/status",),
        ("events",),
        ("tokenreviews",),
        ("mutatingwebhookconfigurations", webhooks.INJECTOR),
        ("validatingwebhookconfigurations", webhooks.VALIDATOR),
        ("apiservices", *webhooks.APIS),
    }


def test_the_control_planes_container_can_do_little_harm() -> None:
    (container,) = containers("control-plane")
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not context["allowPrivilegeEscalation"]
    pod = find("control-plane", "Deployment", "meshlab-controller")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]


def test_the_gateway_is_a_proxy_that_the_control_plane_knows_as_its_own() -> None:
    template = find("gateway", "Deployment", "meshlab-gateway")["spec"]["template"]
    assert template["spec"]["serviceAccountName"] == "meshlab-gateway"
    assert wants_sidecar({**template, "kind": "Pod"}, find("control-plane", "Namespace", "meshlab-system")).inject
    ports = {port["name"]: port["containerPort"] for port in containers("gateway")[0]["ports"]}
    assert ports == {"http": 8080, "https": 8443}
    assert find("gateway", "IngressClass", "meshlab")["spec"]["controller"] == "meshlab.dev/gateway"


def test_the_services_lead_to_every_server_of_the_control_plane() -> None:
    services = [find("control-plane", "Service", name)["spec"] for name in ("meshlab-controller", "meshlab-webhooks")]
    listed = {port["name"]: port["port"] for service in services for port in service["ports"]}
    assert listed == {field: getattr(Ports(), field) for field in Ports.__slots__}
    labels = find("control-plane", "Deployment", "meshlab-controller")["spec"]["template"]["metadata"]["labels"]
    leaders, everybodys = (service["selector"] for service in services)
    assert (leaders, everybodys) == ({**labels, LABEL: "true"}, labels)


def test_only_meshed_namespaces_depend_on_a_webhook() -> None:
    webhooks_ = [webhook for obj in manifests.read("control-plane") for webhook in obj.get("webhooks", ())]
    assert [webhook["failurePolicy"] for webhook in webhooks_] == ["Fail", "Fail", "Fail", "Ignore"]
    injector, gateway, validator, _ = webhooks_
    for webhook in (injector, validator):
        assert webhook["namespaceSelector"]["matchLabels"] == {"openservicemesh.io/monitored-by": "meshlab"}
    assert gateway["objectSelector"]["matchLabels"] == {"meshlab.dev/gateway": "true"}
