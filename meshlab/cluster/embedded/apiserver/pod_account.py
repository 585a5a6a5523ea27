"""As whom does a pod speak to the API server?

A new pod gets its namespace's `default` account unless it names another, and a volume with that account's
token, the cluster's CA and the namespace, mounted where client libraries look for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.metadata import random_suffix

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.store import Store

Object = dict[str, Any]

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_SECONDS = 3607
_READ_ONLY_BITS = 0o644


def give_account(store: Store, resource: Resource, pod: Object) -> None:
    """Name the pod's account and mount its token. Raises 403 when the account is not there."""
    spec, metadata = pod["spec"], pod["metadata"]
    name = spec.get("serviceAccountName") or "default"
    namespace = metadata["namespace"]
    account = store.newest("serviceaccounts", (namespace, name))
    if account is None:
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise status.forbidden(resource, metadata.get("name", ""), why)
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    if not spec.get("imagePullSecrets") and account.obj.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account.obj["imagePullSecrets"]
    wanted = spec.get("automountServiceAccountToken", account.obj.get("automountServiceAccountToken", True))
    if wanted:
        _mount(spec)


def _mount(spec: Object) -> None:
    lacking = [
        container
        for kind in ("initContainers", "containers")
        for container in spec.get(kind) or ()
        if all(mount.get("mountPath") != MOUNT_PATH for mount in container.get("volumeMounts") or ())
    ]
    if not lacking:
        return
    volume = f"kube-api-access-{random_suffix()}"
    spec["volumes"] = [*(spec.get("volumes") or ()), {"name": volume, "projected": _projection()}]
    for container in lacking:
        mount = {"name": volume, "readOnly": True, "mountPath": MOUNT_PATH}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]


def _projection() -> Object:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "defaultMode": _READ_ONLY_BITS,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
    }
