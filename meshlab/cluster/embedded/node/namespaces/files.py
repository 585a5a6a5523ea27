"""Which files of the machine does a pod find replaced by its own? Those that say who is who on the network."""

from __future__ import annotations

import re
from pathlib import Path

from meshlab.kube import Object

DOMAIN = "cluster.local"

_HOSTS, _RESOLVER, _NAME_SERVICES = Path("/etc/hosts"), Path("/etc/resolv.conf"), Path("/etc/nsswitch.conf")


def write(pod: Object, address: str, nameserver: str, folder: Path) -> dict[Path, Path]:
    """Write a pod's own files; each with the place it belongs to."""
    texts = {_HOSTS: hosts(pod, address), _RESOLVER: resolver(pod["metadata"]["namespace"], nameserver)}
    if _NAME_SERVICES.exists():
        texts[_NAME_SERVICES] = name_services(_NAME_SERVICES.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    for target, text in texts.items():
        (folder / target.name).write_text(text)
    return {folder / target.name: target for target in texts}


def hostname(pod: Object) -> str:
    """What a pod calls itself."""
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])


def hosts(pod: Object, address: str) -> str:
    """/etc/hosts: the pod itself, and what its hostAliases say."""
    name, subdomain = hostname(pod), pod["spec"].get("subdomain")
    names = [f"{name}.{subdomain}.{pod['metadata']['namespace']}.svc.{DOMAIN}", name] if subdomain else [name]
    aliases = [(alias["ip"], alias.get("hostnames") or []) for alias in pod["spec"].get("hostAliases") or []]
    rows = [("127.0.0.1", ["localhost"]), ("::1", ["localhost", "ip6-localhost"]), (address, names), *aliases]
    return "".join(f"{number}\t{' '.join(words)}\n" for number, words in rows)


def resolver(namespace: str, nameserver: str) -> str:
    """/etc/resolv.conf: a short name is meant in the pod's own namespace."""
    search = f"{namespace}.svc.{DOMAIN} svc.{DOMAIN} {DOMAIN}"
    return f"search {search}\nnameserver {nameserver}\noptions ndots:5\n"


def name_services(text: str) -> str:
    """/etc/nsswitch.conf: names are looked up in those two, and never asked of the machine's own resolver."""
    return re.sub(r"^hosts:.*$", "hosts: files dns", text, flags=re.MULTILINE)
