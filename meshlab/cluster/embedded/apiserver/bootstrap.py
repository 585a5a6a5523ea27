"""Which roles does a cluster start with, and how does an aggregated API server learn whom to trust?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from meshlab.cluster.embedded.apiserver.initial import create_missing
from meshlab.cluster.embedded.apiserver.pki import Pki
from meshlab.cluster.embedded.apiserver.registry import Registry
from meshlab.cluster.embedded.apiserver.store import Store

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}


async def bootstrap(store: Store, registry: Registry, pki: Pki) -> None:
    """Create the roles and bindings of `roles.yaml` and the ConfigMap with the certificate authorities."""
    for obj in yaml.safe_load_all(Path(__file__).with_name("roles.yaml").read_text()):
        obj["metadata"] |= {"labels": {**_LABELS, **(obj["metadata"].get("labels") or {})}, "annotations": _ANNOTATIONS}
        await create_missing(store, registry, obj)
    await create_missing(store, registry, _authentication(pki))


def _authentication(pki: Pki) -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {
            "client-ca-file": pki.ca_cert.read_text(),
            "requestheader-allowed-names": json.dumps(["front-proxy-client"]),
            "requestheader-client-ca-file": pki.front_proxy_ca.read_text(),
            "requestheader-extra-headers-prefix": json.dumps(["X-Remote-Extra-"]),
            "requestheader-group-headers": json.dumps(["X-Remote-Group"]),
            "requestheader-username-headers": json.dumps(["X-Remote-User"]),
        },
    }
