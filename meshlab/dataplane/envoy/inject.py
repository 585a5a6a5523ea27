"""How does a pod get its proxy? Its JSON goes in, and comes out with a sidecar beside the app."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from meshlab.dataplane.envoy import exclusions, names
from meshlab.dataplane.envoy.intercept import arguments
from meshlab.dataplane.envoy.probes import Probe, rewrite, to_json
from meshlab.errors import DataPlaneError

if TYPE_CHECKING:
    from meshlab.dataplane.base import SidecarSettings
    from meshlab.kube.objects import Object

CONTAINER = "envoy"
INIT_CONTAINER = "osm-init"
UUID_LABEL = "osm-proxy-uuid"
GATEWAY_LABEL = "meshlab.dev/gateway"
"""A pod that is all proxy: what a sidecar has to be told goes into the container it brings."""
INTERCEPTION = "meshlab.dev/interception"
AUDIENCE = "meshlab"
FOLDER = "/var/run/meshlab/proxy"
TOKEN_FOLDER = "/var/run/secrets/meshlab"  # noqa: S105

_WORK_VOLUME, _TOKEN_VOLUME = "meshlab-proxy", "meshlab-token"
_TOKEN_SECONDS = 3600
_MAY_ADMINISTER = {"drop": ["ALL"], "add": ["NET_ADMIN"]}

_READY = {"httpGet": {"path": "/ready", "port": names.STATS_PORT}, "periodSeconds": 1}
_FROM_START_TO_END = {"restartPolicy": "Always", "startupProbe": {**_READY, "failureThreshold": 600}}
"""Makes an init container what Kubernetes calls a sidecar: the next starts when it is ready, and it ends last."""


def inject(pod: Object, settings: SidecarSettings) -> Object:
    """A copy of the pod with the sidecar; a pod that has one comes back as it was.

    Pure, but for a fresh proxy uuid.
    """
    spec = pod["spec"]
    metadata = pod.get("metadata") or {}
    if GATEWAY_LABEL in (metadata.get("labels") or ()) and metadata.get("namespace") == settings.controller_namespace:
        return _gateway(pod, settings)
    init = spec.get("initContainers") or []
    if any(container["name"] == CONTAINER for container in (*init, *spec["containers"])):
        return pod
    if not settings.explicit and not settings.one_user:
        _require_other_users(spec)
    result: Object = deepcopy(dict(pod))
    apps, probes = _proxied(result["spec"]["containers"], settings)
    redirection = [] if settings.explicit else [_interception(pod, settings)]
    if settings.outlives_apps:
        # First of all: what the pod's own init containers do goes through the proxy, too.
        others, theirs = _proxied(result["spec"].get("initContainers") or [], settings)
        result["spec"]["containers"] = apps
        init = [
            *redirection,
            {**_sidecar(pod, settings, [*probes, *theirs], _mark(settings)), **_FROM_START_TO_END},
            *others,
        ]
    else:
        # Last: there is no proxy yet that the pod's own init containers could go through.
        result["spec"]["containers"] = [*apps, _sidecar(pod, settings, probes, _mark(settings))]
        init = [*init, *redirection]
    if init:
        result["spec"]["initContainers"] = init
    result["spec"]["volumes"] = [*(spec.get("volumes") or ()), *_volumes()]
    _mark_injected(result, settings)
    return result


def _gateway(pod: Object, settings: SidecarSettings) -> Object:
    """The pod with the sidecar in place of its container `envoy`, which keeps its own ports and resources."""
    result: Object = deepcopy(dict(pod))
    sidecar = _sidecar(pod, settings, [], mark=0)
    containers = result["spec"]["containers"]
    for index, container in enumerate(containers):
        if container["name"] == CONTAINER:
            ports = [*(container.get("ports") or ()), *sidecar["ports"]]
            kept = {key: container[key] for key in ("image", "resources") if key in container}
            containers[index] = {**sidecar, **kept, "ports": ports}
    result["spec"]["volumes"] = [*(pod["spec"].get("volumes") or ()), *_volumes()]
    _mark_injected(result, settings)
    return result


def _mark_injected(pod: Object, settings: SidecarSettings) -> None:
    metadata = pod.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), UUID_LABEL: str(uuid4())}
    interception = "explicit" if settings.explicit else "redirect"
    metadata["annotations"] = {**(metadata.get("annotations") or {}), INTERCEPTION: interception}


def _proxied(containers: list[dict[str, Any]], settings: SidecarSettings) -> tuple[list[dict[str, Any]], list[Probe]]:
    """Containers as they are beside a proxy, and what it must know of their probes."""
    rewritten = [rewrite(container) for container in containers]
    probes = [probe for _, found in rewritten for probe in found]
    changed = [container for container, _ in rewritten]
    return [_with_proxy_variables(container) for container in changed] if settings.explicit else changed, probes


def _require_other_users(spec: Object) -> None:
    """Raise DataPlaneError ML355 for a container that the kernel would take for the proxy."""
    for owner in (spec, *(spec.get("initContainers") or ()), *spec["containers"]):
        if (owner.get("securityContext") or {}).get("runAsUser") == names.PROXY_UID:
            what = f"it runs as user {names.PROXY_UID}, the proxy's, whose traffic is not intercepted"
            about = f"container {owner['name']}" if "name" in owner else "the pod"
            raise DataPlaneError("ML355", what, about=about, hint="give it another runAsUser")


def _interception(pod: Object, settings: SidecarSettings) -> dict[str, Any]:
    excluded, mark = exclusions.of_pod(pod, settings.exclusions), _mark(settings)
    as_root = {} if settings.one_user else {"runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False}
    return {
        "name": INIT_CONTAINER,
        "image": settings.image,
        "command": ["python", "-m", "meshlab.dataplane.envoy.intercept"],
        "args": arguments(excluded, mark),
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": {
            **as_root,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": _MAY_ADMINISTER,
        },
    }


def _sidecar(pod: Object, settings: SidecarSettings, probes: list[Probe], mark: int) -> dict[str, Any]:
    account = pod["spec"].get("serviceAccountName") or "default"
    controller = f"spiffe://{settings.trust_domain}/ns/{settings.controller_namespace}/sa/{settings.controller_account}"
    as_proxy = {} if settings.one_user else {"runAsUser": names.PROXY_UID, "runAsNonRoot": True}
    return {
        "name": CONTAINER,
        "image": settings.image,
        "command": ["python", "-m", "meshlab.dataplane.envoy.sidecar"],
        "env": [
            _field("POD_NAME", "metadata.name"),
            _field("POD_NAMESPACE", "metadata.namespace"),
            _field("POD_IP", "status.podIP"),
            {"name": "SERVICE_ACCOUNT", "value": account},
            {"name": "MESHLAB_CONTROLLER", "value": settings.controller},
            {"name": "MESHLAB_CONTROLLER_ID", "value": controller},
            {
                "name": "MESHLAB_CONTROLLER_NAME",
                "value": f"{settings.controller_account}.{settings.controller_namespace}.svc",
            },
            {"name": "MESHLAB_CA_BUNDLE", "value": settings.ca_bundle},
            {"name": "MESHLAB_INTERCEPTION", "value": "explicit" if settings.explicit else "redirect"},
            {"name": "MESHLAB_PROXY_MARK", "value": str(mark)},
            {"name": "MESHLAB_PROBES", "value": to_json(probes)},
            {"name": "MESHLAB_LOG_LEVEL", "value": settings.log_level},
            {"name": "MESHLAB_QUIET_SECONDS", "value": "0" if settings.outlives_apps else "1"},
        ],
        "ports": [{"name": "proxy-stats", "containerPort": names.STATS_PORT}],
        "readinessProbe": {**_READY, "failureThreshold": 30},
        "resources": settings.resources or {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": {
            **as_proxy,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": _MAY_ADMINISTER if mark else {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": _WORK_VOLUME, "mountPath": FOLDER},
            {"name": _TOKEN_VOLUME, "mountPath": TOKEN_FOLDER, "readOnly": True},
        ],
    }


def _mark(settings: SidecarSettings) -> int:
    """How the proxy marks its connections, which takes NET_ADMIN; 0 where it is known otherwise."""
    return names.PROXY_MARK if settings.one_user and not settings.explicit else 0


def _volumes() -> list[dict[str, Any]]:
    token = {"audience": AUDIENCE, "expirationSeconds": _TOKEN_SECONDS, "path": "token"}
    return [
        {"name": _WORK_VOLUME, "emptyDir": {"medium": "Memory"}},
        {"name": _TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}},
    ]


def _with_proxy_variables(container: dict[str, Any]) -> dict[str, Any]:
    """Tell the app of its proxy, unless its author has done so. Lower case: curl ignores HTTP_PROXY."""
    own = container.get("env") or []
    ours = [
        _field("POD_IP", "status.podIP"),
        {"name": "http_proxy", "value": f"http://$(POD_IP):{names.OUTBOUND_PORT}"},
        {"name": "no_proxy", "value": "localhost,127.0.0.1,$(POD_IP)"},
    ]
    present = {item["name"] for item in own}
    return {**container, "env": [*(item for item in ours if item["name"] not in present), *own]}


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
