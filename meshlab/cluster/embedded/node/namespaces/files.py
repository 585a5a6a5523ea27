"""Which files of the machine does a pod find replaced by its own? Those that say who is who on the network."""

from __future__ import annotations

import re
from pathlib import Path

from meshlab.cluster.embedded.node.dns.resolver import DOMAIN, PATH, Resolver, resolver
from meshlab.kube import Object

_HOSTS, _NAME_SERVICES = Path("/etc/hosts"), Path("/etc/nsswitch.conf")
_EVERYBODY = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
"""As the kubelet writes it."""
_LONGEST_HOSTNAME = 63


def write(pod: Object, address: str, nameserver: str, folder: Path) -> dict[Path, Path]:
    """Write a pod's own files; each with the place it belongs to."""
    texts = {_HOSTS: hosts(pod, address), PATH: str(resolver(pod, nameserver, Resolver.of_machine()))}
    if _NAME_SERVICES.exists():
        texts[_NAME_SERVICES] = name_services(_NAME_SERVICES.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    for target, text in texts.items():
        (folder / target.name).write_text(text)
    return {folder / target.name: target for target in texts}


def hostname(pod: Object) -> str:
    """What a pod calls itself."""
    short, whole = _names(pod)
    return whole if whole and pod["spec"].get("setHostnameAsFQDN") else short


def hosts(pod: Object, address: str) -> str:
    """/etc/hosts: the pod itself, and what its hostAliases say."""
    short, whole = _names(pod)
    text = _EVERYBODY + "\t".join([address, *([whole] if whole else []), short]) + "\n"
    aliases = ["\t".join([alias["ip"], *alias.get("hostnames", [])]) for alias in pod["spec"].get("hostAliases") or []]
    return text + "".join(f"{line}\n" for line in ["", "# Entries added by HostAliases.", *aliases] if aliases)


def name_services(text: str) -> str:
    """/etc/nsswitch.conf: names are looked up in those two, and never asked of the machine's own resolver."""
    return re.sub(r"^hosts:.*$", "hosts: files dns", text, flags=re.MULTILINE)


def _names(pod: Object) -> tuple[str, str]:
    """A pod's name on the network, and the one that a headless Service gives it; empty if it is in none's domain."""
    short = str(pod["spec"].get("hostname") or pod["metadata"]["name"])[:_LONGEST_HOSTNAME].rstrip("-.")
    subdomain = pod["spec"].get("subdomain")
    return short, f"{short}.{subdomain}.{pod['metadata']['namespace']}.svc.{DOMAIN}" if subdomain else ""
