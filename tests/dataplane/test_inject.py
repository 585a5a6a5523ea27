"""What a pod looks like before and after it gets its sidecar."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from meshlab.dataplane import SidecarSettings
from meshlab.dataplane.envoy.inject import inject
from meshlab.dataplane.envoy.probes import from_json

SETTINGS = SidecarSettings(image="meshlab:1", controller="10.96.0.5", ca_bundle="PEM", explicit=False)
EXPLICIT = SidecarSettings(image="meshlab:1", controller="127.64.128.5", ca_bundle="PEM", explicit=True)


@pytest.fixture
def pod() -> dict[str, Any]:
    app = {
        "name": "app",
        "image": "meshlab:1",
        "ports": [{"name": "web", "containerPort": 14001}],
        "env": [{"name": "COLOUR", "value": "red"}],
        "livenessProbe": {"httpGet": {"path": "/alive", "port": "web"}, "periodSeconds": 3},
        "readinessProbe": {"tcpSocket": {"port": 14001}},
        "startupProbe": {"exec": {"command": ["true"]}},
    }
    return {
        "metadata": {"generateName": "bookstore-", "labels": {"app": "bookstore"}},
        "spec": {"serviceAccountName": "bookstore", "containers": [app], "volumes": [{"name": "data", "emptyDir": {}}]},
    }


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    spec = pod["spec"]
    return next(item for item in [*spec.get("initContainers", ()), *spec["containers"]] if item["name"] == name)


def names(pod: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Of the init containers, and of the others."""
    init, others = (pod["spec"].get(part, ()) for part in ("initContainers", "containers"))
    return [item["name"] for item in init], [item["name"] for item in others]


def env(container: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def test_the_sidecar_has_the_resources_that_are_set_for_all(pod):
    resources = {"limits": {"memory": "128Mi"}}
    assert container(inject(pod, replace(SETTINGS, resources=resources)), "envoy")["resources"] == resources


def test_the_sidecar_is_ready_before_anything_of_the_pods_own_starts_and_the_rest_stays(pod):
    pod["spec"]["initContainers"] = [{"name": "migrate", "image": "meshlab:1"}]
    before = deepcopy(pod)
    result = inject(pod, SETTINGS)
    assert pod == before, "the pod that came in is not touched"
    assert names(result) == (["osm-init", "envoy", "migrate"], ["app"])
    envoy = container(result, "envoy")
    assert envoy["restartPolicy"] == "Always", "Kubernetes' sign of a sidecar, which ends after the app"
    assert envoy["startupProbe"]["httpGet"] == {"path": "/ready", "port": 15010}
    assert result["metadata"]["generateName"] == "bookstore-"
    assert result["metadata"]["labels"]["app"] == "bookstore"
    assert result["spec"]["volumes"][0] == {"name": "data", "emptyDir": {}}


def test_on_older_kubernetes_the_sidecar_is_a_container_like_others_and_comes_last(pod):
    pod["spec"]["initContainers"] = [{"name": "migrate", "image": "meshlab:1"}]
    result = inject(pod, replace(SETTINGS, outlives_apps=False))
    assert names(result) == (["migrate", "osm-init"], ["app", "envoy"])
    assert "restartPolicy" not in container(result, "envoy")
    assert inject(result, SETTINGS) == result, "a pod that has one comes back as it was"


def test_init_containers_are_told_of_the_proxy_that_is_there_before_them(pod):
    sidecar = {"name": "cache", "restartPolicy": "Always", "startupProbe": {"httpGet": {"path": "/up", "port": 6000}}}
    pod["spec"]["initContainers"] = [sidecar]
    result = inject(pod, EXPLICIT)
    assert names(result) == (["envoy", "cache"], ["app"])
    assert "http_proxy" in env(container(result, "cache"))
    assert container(result, "cache")["startupProbe"]["httpGet"]["port"] == 15903
    assert {probe.container for probe in from_json(env(container(result, "envoy"))["MESHLAB_PROBES"])} == {
        "app",
        "cache",
    }


def test_the_gateway_is_told_what_a_sidecar_is_told_and_redirects_nothing(pod):
    own = {"name": "envoy", "image": "meshlab:1", "ports": [{"containerPort": 8080}], "resources": {"limits": {}}}
    gateway = {
        "metadata": {"labels": {"meshlab.dev/gateway": "true"}, "namespace": "meshlab-system"},
        "spec": {"containers": [own], "serviceAccountName": "meshlab-gateway"},
    }
    for settings in (SETTINGS, EXPLICIT, replace(SETTINGS, one_user=True)):
        made = inject(gateway, settings)
        assert names(made) == ([], ["envoy"])
        sidecar = container(made, "envoy")
        assert env(sidecar)["MESHLAB_CONTROLLER"] == settings.controller
        assert env(sidecar)["MESHLAB_PROXY_MARK"] == "0"
        assert sidecar["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert sidecar["resources"] == own["resources"]
        assert {port["containerPort"] for port in sidecar["ports"]} == {8080, 15010}
        assert "osm-proxy-uuid" in made["metadata"]["labels"]


def test_a_pod_elsewhere_that_calls_itself_the_gateway_gets_a_sidecar_like_any_other(pod):
    pod["metadata"] = {"labels": {"meshlab.dev/gateway": "true"}, "namespace": "bookstore"}
    assert names(inject(pod, SETTINGS)) == (["osm-init", "envoy"], ["app"])


def test_a_pod_that_has_a_sidecar_comes_back_as_it_was(pod):
    once = inject(pod, SETTINGS)
    assert inject(once, SETTINGS) == once


def test_the_pod_is_marked(pod):
    one, other = inject(pod, SETTINGS), inject(pod, EXPLICIT)
    assert len(one["metadata"]["labels"]["osm-proxy-uuid"]) == 36
    assert one["metadata"]["labels"]["osm-proxy-uuid"] != other["metadata"]["labels"]["osm-proxy-uuid"]
    assert one["metadata"]["annotations"] == {"meshlab.dev/interception": "redirect"}
    assert other["metadata"]["annotations"] == {"meshlab.dev/interception": "explicit"}


def test_the_sidecar_runs_as_nobody_that_matters(pod):
    context = container(inject(pod, SETTINGS), "envoy")["securityContext"]
    assert context["runAsUser"] == 1500
    assert context["runAsNonRoot"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_the_sidecar_proves_itself_by_a_token_for_the_mesh_alone(pod):
    result = inject(pod, SETTINGS)
    mounts = {mount["mountPath"]: mount["name"] for mount in container(result, "envoy")["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in result["spec"]["volumes"]}
    token = volumes[mounts["/var/run/secrets/meshlab"]]["projected"]["sources"][0]["serviceAccountToken"]
    assert token["audience"] == "meshlab"
    assert "volumeMounts" not in container(result, "app"), "the app sees neither token nor key"


def test_an_explicit_proxy_is_told_to_the_app_unless_its_author_chose(pod):
    assert "http_proxy" not in env(container(inject(pod, SETTINGS), "app"))
    variables = container(inject(pod, EXPLICIT), "app")["env"]
    assert [item["name"] for item in variables] == ["POD_IP", "http_proxy", "no_proxy", "COLOUR"]
    assert variables[1]["value"] == "http://$(POD_IP):15001"
    pod["spec"]["containers"][0]["env"].append({"name": "http_proxy", "value": "http://mine:1"})
    assert env(container(inject(pod, EXPLICIT), "app"))["http_proxy"] == "http://mine:1"


def test_probes_ask_the_proxy(pod):
    app = container(inject(pod, SETTINGS), "app")
    assert app["livenessProbe"] == {
        "httpGet": {"path": "/osm-liveness-probe/app", "port": 15901},
        "periodSeconds": 3,
    }
    assert app["readinessProbe"]["httpGet"]["port"] == 15904
    assert app["readinessProbe"]["httpGet"]["httpHeaders"] == [{"name": "Original-Tcp-Port", "value": "14001"}]
    assert "tcpSocket" not in app["readinessProbe"]
    assert app["startupProbe"] == {"exec": {"command": ["true"]}}


def test_the_sidecar_knows_the_probes_as_they_were_written(pod):
    (probe,) = from_json(env(container(inject(pod, SETTINGS), "envoy"))["MESHLAB_PROBES"])
    assert (probe.kind, probe.container, probe.port, probe.path, probe.tls) == (
        "livenessProbe",
        "app",
        14001,
        "/alive",
        False,
    )


def test_an_https_probe_keeps_its_path_for_only_its_bytes_are_forwarded(pod):
    pod["spec"]["containers"][0]["livenessProbe"] = {"httpGet": {"path": "/alive", "port": 8443, "scheme": "HTTPS"}}
    result = inject(pod, SETTINGS)
    assert container(result, "app")["livenessProbe"]["httpGet"] == {"path": "/alive", "port": 15901, "scheme": "HTTPS"}
    (probe,) = from_json(env(container(result, "envoy"))["MESHLAB_PROBES"])
    assert probe.tls


def test_a_pod_without_an_account_is_the_default_account(pod):
    del pod["spec"]["serviceAccountName"]
    assert env(container(inject(pod, SETTINGS), "envoy"))["SERVICE_ACCOUNT"] == "default"


def test_where_a_pod_runs_as_one_user_the_proxy_marks_its_connections_and_may_do_that_alone(pod):
    pod["spec"]["securityContext"] = {"runAsUser": 1500}
    result = inject(pod, replace(SETTINGS, one_user=True))
    rules, envoy = container(result, "osm-init"), container(result, "envoy")
    assert rules["args"] == ["--proxy-mark", "1337"]
    assert env(envoy)["MESHLAB_PROXY_MARK"] == "1337"
    for ours in (rules, envoy):
        assert ours["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
        assert "runAsUser" not in ours["securityContext"]
    assert env(container(inject(pod, replace(EXPLICIT, one_user=True)), "envoy"))["MESHLAB_PROXY_MARK"] == "0"
