"""Whom does a pod ask for names, and what does it try when it is given a short one? Its /etc/resolv.conf, pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from meshlab.kube import Object

PATH = Path("/etc/resolv.conf")
DOMAIN = "cluster.local"

_CLUSTER_FIRST = ("ClusterFirst", "ClusterFirstWithHostNet")
_MOST_SERVERS = 3
"""Resolvers read no more."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a resolv.conf says."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    """By name; with an empty value where the name says it all."""

    @classmethod
    def of_machine(cls) -> Self:
        """The machine's own; empty if it has none."""
        return cls.parse(PATH.read_text() if PATH.exists() else "")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one. As resolvers do, the last `search` counts and what isn't understood doesn't."""
        servers, search, options = [], list[str](), dict[str, str]()
        for line in text.splitlines():
            match line.split():
                case ["nameserver", address, *_]:
                    servers.append(address)
                case ["search" | "domain", *names]:
                    search = [name for name in names if name != "."]
                case ["options", *words]:
                    options |= {name: value for name, _, value in (word.partition(":") for word in words)}
        return cls(tuple(servers), tuple(search), options)

    def __str__(self) -> str:
        options = [f"{name}:{value}" if value else name for name, value in self.options.items()]
        lines = [
            *([f"search {' '.join(self.search)}"] if self.search else []),
            *(f"nameserver {server}" for server in self.servers),
            *([f"options {' '.join(options)}"] if options else []),
        ]
        return "".join(f"{line}\n" for line in lines)


def resolver(pod: Object, nameserver: str, machine: Resolver) -> Resolver:
    """A pod's own, by its dnsPolicy and dnsConfig. `nameserver` is the cluster's, `machine` what the node itself has.

    With the policy `Default` the cluster's server is asked, too: it passes on what is not its own, and the machine's
    own can't be reached from here.
    """
    spec = pod["spec"]
    policy = spec.get("dnsPolicy", "ClusterFirst")
    base = Resolver()
    if policy == "Default":
        base = Resolver((nameserver,), machine.search, machine.options)
    elif policy in _CLUSTER_FIRST:
        here = (f"{pod['metadata']['namespace']}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN)
        base = Resolver((nameserver,), (*here, *machine.search), {"ndots": "5"})
    more = spec.get("dnsConfig") or {}
    wanted = {option["name"]: option.get("value") or "" for option in more.get("options") or []}
    return Resolver(
        tuple(dict.fromkeys((*base.servers, *(more.get("nameservers") or ()))))[:_MOST_SERVERS],
        tuple(dict.fromkeys((*base.search, *(more.get("searches") or ())))),
        {**base.options, **wanted},
    )
