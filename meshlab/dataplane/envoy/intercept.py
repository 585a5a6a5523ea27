"""What does a pod's init container do? It lays the rules by which nothing of the pod's goes past its proxy.

It needs NET_ADMIN, and is over before any container of the pod starts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from meshlab import nft
from meshlab.dataplane.envoy.iptables import for_restore
from meshlab.dataplane.envoy.redirection import BY_USER, Proxy, redirection
from meshlab.mesh.settings import Exclusions


def arguments(exclusions: Exclusions, proxy_mark: int = 0) -> list[str]:
    """The command line that says the same; only what is not empty is mentioned."""
    lists: dict[str, Sequence[int] | Sequence[str]] = {
        "--proxy-mark": (proxy_mark,) if proxy_mark else (),
        "--past-inbound-ports": exclusions.inbound_ports,
        "--past-outbound-ports": exclusions.outbound_ports,
        "--past-outbound-ranges": exclusions.outbound_ranges,
        "--only-outbound-ranges": exclusions.only_ranges,
        "--past-interfaces": exclusions.interfaces,
    }
    return [word for option, items in lists.items() if items for word in (option, *map(str, items))]


def parse(words: Sequence[str]) -> tuple[Exclusions, Proxy]:
    """What `arguments` wrote: what goes past the proxy, and by what the proxy itself is known."""
    parser = argparse.ArgumentParser(prog="meshlab.dataplane.envoy.intercept", description=__doc__)
    parser.add_argument(
        "--proxy-mark", type=int, metavar="MARK", help="how the proxy's packets are marked (default: known by its user)"
    )
    parser.add_argument("--past-inbound-ports", nargs="*", type=int, default=[], metavar="PORT")
    parser.add_argument("--past-outbound-ports", nargs="*", type=int, default=[], metavar="PORT")
    parser.add_argument("--past-outbound-ranges", nargs="*", default=[], metavar="CIDR")
    parser.add_argument("--only-outbound-ranges", nargs="*", default=[], metavar="CIDR")
    parser.add_argument("--past-interfaces", nargs="*", default=[], metavar="NAME")
    given = parser.parse_args(words)
    exclusions = Exclusions(
        inbound_ports=tuple(given.past_inbound_ports),
        outbound_ports=tuple(given.past_outbound_ports),
        outbound_ranges=tuple(given.past_outbound_ranges),
        only_ranges=tuple(given.only_outbound_ranges),
        interfaces=tuple(given.past_interfaces),
    )
    return exclusions, nft.Mark(given.proxy_mark) if given.proxy_mark else BY_USER


def main(words: Sequence[str]) -> int:
    """Lay the rules, and print them for whoever reads the container's log; the exit status.

    A real cluster may have rules of its own kind, so there it is done by iptables, which knows which. Where pods are
    processes there need be no such program, and the kernel is told directly.
    """
    exclusions, proxy = parse(words)
    rules = redirection(exclusions, proxy)
    text = for_restore(rules)
    sys.stdout.write(text)
    sys.stdout.flush()
    if isinstance(proxy, nft.User):
        return subprocess.run(["iptables-restore", "--noflush"], input=text, text=True, check=False).returncode
    try:
        nft.apply(nft.encode(rules))
    except OSError as error:
        sys.stderr.write(f"the kernel refused the rules: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
