"""How does the cluster know the node, and that it is alive?"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
import socket
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil

from meshlab.cluster.embedded.clock import now
from meshlab.cluster.embedded.node.network import Network
from meshlab.errors import ClusterError
from meshlab.kube import ApiError, Kube, Object
from meshlab.kube.client import STRATEGIC_PATCH
from meshlab.kube.objects import LEASE, NODE

log = logging.getLogger(__name__)

POD_NETWORK = "meshlab.dev/pod-network"
_NOT_READY = "node.kubernetes.io/not-ready"
_LEASES = "kube-node-lease"
_LEASE_SECONDS = 40
_RENEW_SECONDS = 10
_RETRY_SECONDS = 0.5
_MOST_PODS = 250
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Registration:
    """Keeps the Node object and its Lease. `done` is set when the node is registered as ready."""

    def __init__(self, kube: Kube, name: str, image: str, network: Network) -> None:
        self._kube = kube
        self._name = name
        self._image = image
        self._network = network
        self.done = asyncio.Event()

    async def run(self) -> None:
        """Register, then renew until cancelled."""
        while True:
            try:
                if not self.done.is_set():
                    await self._register()
                    self.done.set()
                await self._renew_lease()
            except ClusterError as error:
                log.warning("registration of node %s: %s", self._name, error)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            await asyncio.sleep(_RENEW_SECONDS)

    async def _register(self) -> None:
        labels = {
            "kubernetes.io/hostname": self._name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            POD_NETWORK: self._network.name,
        }
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._name, "labels": labels}}
        await self._create_or_ignore(node)
        await self._kube.patch(NODE, self._name, {"metadata": {"labels": labels}})
        status = self._status((await self._kube.request("GET", "/version"))["gitVersion"])
        body = {"status": status}
        stored: Object = await self._kube.patch(
            NODE, self._name, body, content_type=STRATEGIC_PATCH, subresource="status"
        )
        taints = (stored.get("spec") or {}).get("taints") or []
        if any(taint["key"] == _NOT_READY for taint in taints):  # admission puts it on a new node
            kept = [taint for taint in taints if taint["key"] != _NOT_READY]
            await self._kube.patch(NODE, self._name, {"spec": {"taints": kept or None}})

    async def _renew_lease(self) -> None:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body = {"spec": {"renewTime": moment, "holderIdentity": self._name, "leaseDurationSeconds": _LEASE_SECONDS}}
        try:
            await self._kube.patch(LEASE, self._name, body, _LEASES)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            await self._create_or_ignore({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _LEASES}})
            node = await self._kube.get(NODE, self._name)
            owner = {"apiVersion": "v1", "kind": "Node", "name": self._name, "uid": node["metadata"]["uid"]}
            metadata = {"name": self._name, "namespace": _LEASES, "ownerReferences": [owner]}
            await self._create_or_ignore(
                {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata} | body
            )

    async def _create_or_ignore(self, obj: Object) -> None:
        try:
            await self._kube.create(obj)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise

    def _status(self, version: str) -> dict[str, Any]:
        disk = shutil.disk_usage("/").total // 1024
        resources = {
            "cpu": str(os.cpu_count() or 1),
            "memory": f"{psutil.virtual_memory().total // 1024}Ki",
            "ephemeral-storage": f"{disk}Ki",
            "pods": str(_MOST_PODS),
        }
        return {
            "capacity": resources,
            "allocatable": resources,
            "addresses": [
                {"type": "InternalIP", "address": self._network.node_address},
                {"type": "Hostname", "address": self._name},
            ],
            "conditions": [_ready()],
            "images": [{"names": [self._image]}],
            "nodeInfo": {
                "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
                "bootID": _read("/proc/sys/kernel/random/boot_id"),
                "containerRuntimeVersion": f"process://{platform.python_version()}",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": "",
                "kubeletVersion": version,
                "machineID": _read("/etc/machine-id") or socket.gethostname(),
                "operatingSystem": "linux",
                "osImage": f"{platform.freedesktop_os_release().get('PRETTY_NAME', sys.platform)}",
                "systemUUID": _read("/etc/machine-id") or socket.gethostname(),
            },
        }


def _ready() -> dict[str, Any]:
    return {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "the node runs pods as processes",
        "lastHeartbeatTime": now(),
        "lastTransitionTime": now(),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
