"""What does a container know of its pod, and a pod of its node?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from meshlab.cluster.embedded.events import Recorder
from meshlab.cluster.embedded.node.images import Images
from meshlab.cluster.embedded.node.marks import Seal
from meshlab.cluster.embedded.node.network import Attachment, Network
from meshlab.cluster.embedded.node.sources import Sources
from meshlab.cluster.embedded.node.volumes import Volumes
from meshlab.kube import Kube, Object


@dataclass(frozen=True, slots=True)
class Host:
    """What all pods of the node share."""

    kube: Kube
    folder: Path
    """One folder per pod lies in here, named by its uid."""
    images: Images
    sources: Sources
    network: Network
    events: Recorder
    http: aiohttp.ClientSession
    """For probes: follows no proxy and keeps no connection."""

    def folder_of(self, pod: Object) -> Path:
        """A pod's own folder."""
        return self.folder / str(pod["metadata"]["uid"])

    def seal_of(self, pod: Object) -> Seal:
        """What marks a pod's processes."""
        return Seal(str(self.folder), str(pod["metadata"]["uid"]))


@dataclass(slots=True)
class Place:
    """One pod on the node, as its containers see it."""

    host: Host
    pod: Object
    """The newest version seen."""
    attachment: Attachment
    volumes: Volumes
    changed: Callable[[], None]
    """Call when something changed that the pod's status shows."""

    @property
    def folder(self) -> Path:
        """The pod's own folder."""
        return self.host.folder_of(self.pod)

    @property
    def sessions(self) -> Path:
        """A folder with one empty file per running container, named by the record of its process."""
        return self.folder / "sessions"

    def say(self, reason: str, message: str, *, container: str, warning: bool = False) -> None:
        """Record an Event about one container of the pod."""
        lists = ("initContainers", "ephemeralContainers", "containers")
        where = next(name for name in lists if _has(self.pod["spec"].get(name) or [], container))
        self.host.events.record(self.pod, reason, message, warning=warning, field=f"spec.{where}{{{container}}}")


def _has(containers: list[Object], name: str) -> bool:
    return any(container["name"] == name for container in containers)
