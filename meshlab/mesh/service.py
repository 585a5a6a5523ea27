"""What can be called? Services, their ports, and the endpoints behind them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from meshlab.mesh.identity import Identity

CLUSTER_DOMAIN = "cluster.local"


class Protocol(StrEnum):
    """What a Service port carries (Kubernetes' appProtocol). HTTP is what OSM assumes when nothing is said."""

    HTTP = "http"
    GRPC = "grpc"
    TCP = "tcp"
    TCP_SERVER_FIRST = "tcp-server-first"

    @property
    def is_http(self) -> bool:
        """Whether routes, methods and headers mean anything on this port."""
        return self in {Protocol.HTTP, Protocol.GRPC}


@dataclass(frozen=True, slots=True, order=True)
class ServiceName:
    """The name of a Kubernetes Service."""

    namespace: str
    name: str

    @property
    def fqdn(self) -> str:
        """The full DNS name."""
        return f"{self.name}.{self.namespace}.svc.{CLUSTER_DOMAIN}"

    def hosts(self, caller_namespace: str | None = None) -> tuple[str, ...]:
        """Every DNS name a client may use; the bare name only from the Service's own namespace."""
        base = f"{self.name}.{self.namespace}"
        names = (base, f"{base}.svc", f"{base}.svc.cluster", self.fqdn)
        return (self.name, *names) if caller_namespace == self.namespace else names

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Workload:
    """A pod, as far as the mesh cares."""

    namespace: str
    name: str
    identity: Identity
    address: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    owner: tuple[str, str] = ("", "")
    """Kind and name of what runs it, for people: ``("Deployment", "bookstore-v1")``."""
    meshed: bool = False
    """Whether a sidecar was injected."""
    uid: str = ""
    ports: tuple[int, ...] = ()
    """Container ports, whether or not a Service names them."""
    explicit_proxy: bool = False
    """Its pod network can't redirect: the app is told of its sidecar by ``http_proxy`` (design decision 3)."""
    gateway: bool = False
    """It is the mesh's gateway: its proxy has no app, and takes calls from outside the mesh."""


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One address behind a Service port."""

    address: str
    port: int
    identity: Identity | None
    """None for an address that belongs to no pod."""
    meshed: bool
    workload: str = ""
    """``namespace/name`` of the pod."""


@dataclass(frozen=True, slots=True, order=True)
class ServicePort:
    """One port of a Service and the endpoints that serve it. Every endpoint has its own target port."""

    number: int
    name: str
    protocol: Protocol
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Service:
    """A Kubernetes Service with its endpoints."""

    name: ServiceName
    cluster_ips: tuple[str, ...]
    """Empty for a headless Service."""
    ports: tuple[ServicePort, ...]

    def port(self, number: int) -> ServicePort | None:
        """The port with this number, if there is one."""
        return next((port for port in self.ports if port.number == number), None)
