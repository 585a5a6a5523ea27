"""What does a pod's init container do? It lays the rules by which nothing of the pod's goes past its proxy.

It needs NET_ADMIN, and is over before any container of the pod starts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from meshlab.dataplane.envoy.redirection import nat_rules
from meshlab.mesh.settings import Exclusions


def arguments(exclusions: Exclusions) -> list[str]:
    """The command line that says the same; only what is not empty is mentioned."""
    lists = {
        "--past-inbound-ports": exclusions.inbound_ports,
        "--past-outbound-ports": exclusions.outbound_ports,
        "--past-outbound-ranges": exclusions.outbound_ranges,
        "--only-outbound-ranges": exclusions.only_ranges,
        "--past-interfaces": exclusions.interfaces,
    }
    return [word for option, items in lists.items() if items for word in (option, *map(str, items))]


def parse(words: Sequence[str]) -> Exclusions:
    """What `arguments` wrote."""
    parser = argparse.ArgumentParser(prog="meshlab.dataplane.envoy.intercept", description=__doc__)
    parser.add_argument("--past-inbound-ports", nargs="*", type=int, default=[], metavar="PORT")
    parser.add_argument("--past-outbound-ports", nargs="*", type=int, default=[], metavar="PORT")
    parser.add_argument("--past-outbound-ranges", nargs="*", default=[], metavar="CIDR")
    parser.add_argument("--only-outbound-ranges", nargs="*", default=[], metavar="CIDR")
    parser.add_argument("--past-interfaces", nargs="*", default=[], metavar="NAME")
    given = parser.parse_args(words)
    return Exclusions(
        inbound_ports=tuple(given.past_inbound_ports),
        outbound_ports=tuple(given.past_outbound_ports),
        outbound_ranges=tuple(given.past_outbound_ranges),
        only_ranges=tuple(given.only_outbound_ranges),
        interfaces=tuple(given.past_interfaces),
    )


def main(words: Sequence[str]) -> int:
    """Lay the rules, and print them for whoever reads the container's log; the exit status of iptables-restore."""
    rules = nat_rules(parse(words))
    sys.stdout.write(rules)
    sys.stdout.flush()
    return subprocess.run(["iptables-restore", "--noflush"], input=rules, text=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
