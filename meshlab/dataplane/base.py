"""What must a data plane be able to do? Seven things; everything else about a proxy is its own affair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from meshlab.mesh.exchange import Exchange
from meshlab.mesh.identity import DEFAULT_TRUST_DOMAIN, Identity
from meshlab.mesh.settings import Exclusions

if TYPE_CHECKING:
    import grpc

    from meshlab.dataplane.raw import RawAccess
    from meshlab.identity import Svid
    from meshlab.kube.objects import Object
    from meshlab.mesh.view import ProxyView
    from meshlab.xds import Snapshot
    from meshlab.xds.stream import Stages

Sink = Callable[[Exchange], None]
"""Where what the proxies report goes, one exchange at a time, on the event loop."""

WorkloadAt = Callable[[str], str]
"""``namespace/name`` of the pod with this address; empty when it is none of the mesh's."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Whose proxy sent a log, as its certificate proves."""

    workload: str
    """``namespace/name`` of the pod."""
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one identity shows, and whom everybody trusts."""

    svid: Svid
    bundle: bytes
    """PEM roots."""
    signer: str = ""
    """Who signed: the id of an authority."""


@dataclass(frozen=True, slots=True)
class SidecarSettings:
    """What the injector knows of its mesh when a pod is created."""

    image: str
    """Of the sidecar: the one the control plane itself runs."""
    controller: str
    """Address of the control plane: the ClusterIP of Service meshlab-controller."""
    ca_bundle: str
    """PEM roots by which a sidecar knows the control plane."""
    explicit: bool
    """The pod network can't redirect: apps are told of their proxy by ``http_proxy``."""
    one_user: bool = False
    """All of a pod runs as one user: the kernel can't tell the proxy by whom it runs as."""
    outlives_apps: bool = True
    """The cluster knows sidecars (Kubernetes 1.29): containers that are ready before a pod's apps, and end after."""
    mesh: str = "meshlab"
    controller_namespace: str = "meshlab-system"
    controller_account: str = "meshlab-controller"
    trust_domain: str = DEFAULT_TRUST_DOMAIN
    exclusions: Exclusions = field(default_factory=Exclusions)
    """MeshConfig's: what goes past every proxy, besides what a pod's annotations add."""
    log_level: str = "error"
    """MeshConfig's spec.sidecar.logLevel."""
    resources: Mapping[str, Any] | None = None
    """MeshConfig's spec.sidecar.resources."""


class DataPlane(Protocol):
    """A kind of proxy. Found by entry point; the built-in one is Envoy."""

    @property
    def stages(self) -> Stages:
        """The types it is told, in the order that keeps traffic whole (see `meshlab.xds.stream`)."""
        ...

    @property
    def secrets(self) -> str:
        """The type that certificates and roots travel in."""
        ...

    def inject(self, pod: Object, settings: SidecarSettings) -> Object:
        """A copy of the pod with a proxy beside its containers. A pod that has one comes back unchanged."""
        ...

    def compile(self, view: ProxyView, credentials: Credentials) -> Snapshot:
        """What one proxy is to be told. Equal parts of views become the same resources, serialised once."""
        ...

    def read(self, log: Any, reporter: Reporter, workload_at: WorkloadAt) -> Iterable[Exchange]:
        """What a log message of one proxy says, in the mesh's words."""
        ...

    @property
    def raw(self) -> RawAccess:
        """Its resources themselves, for overlays and for those who look below the policies."""
        ...

    def receivers(self, sink: Sink, workload_at: WorkloadAt) -> Sequence[grpc.GenericRpcHandler[Any, Any]]:
        """Handlers (gRPC) that take the proxies' logs, for the port that configuration is served on."""
        ...
