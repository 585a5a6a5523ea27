"""Does this machine grant what a network of namespaces needs? Tried, for no setting tells it reliably."""

from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from meshlab import nft
from meshlab.cluster.embedded.node.namespaces import files
from meshlab.cluster.embedded.node.namespaces.client import Holder
from meshlab.cluster.embedded.node.namespaces.entry import prefix
from meshlab.cluster.embedded.node.namespaces.holder import NODE

_POD: dict[str, Any] = {"metadata": {"name": "probe", "namespace": "default"}, "spec": {}}
_HERE, _THERE = "10.64.0.1", "10.64.0.2"
_SERVICE, _PORT, _MARK = "10.64.128.1", 80, 1
_MATCHES = (nft.Protocol("tcp"), nft.Destination(f"{_SERVICE}/32"), nft.Mark(_MARK, negated=True))
_CHOICE = ((_HERE, _PORT), (_THERE, _PORT))
_OTHERS = (nft.Protocol("tcp"), nft.Destination("10.64.200.0/24"))
_RULES = nft.Table(
    "probe",
    (
        nft.Chain(
            "output",
            (
                nft.Rule(nft.Redirect(_PORT), _MATCHES),
                nft.Rule(nft.Dnat(_CHOICE), _OTHERS),
                nft.Rule(nft.Dnat(_CHOICE, by_source=True), _OTHERS),
            ),
            nft.Hook("nat", "output", -100),
        ),
        nft.Chain("refuse", (nft.Rule(nft.Reject(tcp_reset=True), _OTHERS),), nft.Hook("filter", "output", 0)),
    ),
)
"""Of each kind of rule that pods will have: a kernel may lack one of them."""
_SECONDS = 10


def probe() -> None:
    """Make a node and a pod, redirect a connection, run a program. Raises OSError with the reason if one fails."""
    with Holder() as holder, tempfile.TemporaryDirectory() as folder:
        holder.make_node(IPv4Interface(f"{_HERE}/16"))
        namespaces = holder.make_pod("pod", "probe", IPv4Interface(f"{_THERE}/16"))
        with holder.open_socket("pod", *nft.WAY) as way:
            nft.apply(nft.encode(_RULES), way)
        with holder.open_socket("pod") as server:
            server.bind(("", _PORT))
            server.listen()
            for place, address in ((NODE, (_THERE, _PORT)), ("pod", (_SERVICE, _PORT + 1))):
                with holder.open_socket(place) as client:
                    client.settimeout(_SECONDS)
                    client.connect(address)
        written = files.write(_POD, _THERE, _HERE, Path(folder) / "etc")
        hidden = Path(folder) / "hidden"
        hidden.mkdir()
        # the interpreter itself: root has no right to another user's files once it is in a user namespace
        command = [*prefix(namespaces, written, hidden=hidden), sys.executable, "-I", "-S", "-c", ""]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd=folder)
        if done.returncode:
            raise OSError(errno.EPERM, done.stderr.strip().rpartition("\n")[2])
