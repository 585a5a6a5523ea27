"""What do /etc/hosts and /etc/resolv.conf of a pod say? As the kubelet writes them."""

from __future__ import annotations

from typing import Any

import pytest

from meshlab.cluster.embedded.node.dns.resolver import Resolver, resolver
from meshlab.cluster.embedded.node.namespaces.files import hostname, hosts, name_services
from meshlab.kube import Object

MACHINE = Resolver.parse("# mine\nsearch old\nsearch corp.example .\nnameserver 10.0.0.2\noptions timeout:2 rotate\n")


def pod(**spec: Any) -> Object:
    return {"metadata": {"name": "mysql-0", "namespace": "books"}, "spec": spec}


def text(spec: Object, machine: Resolver = MACHINE) -> str:
    return str(resolver(pod(**spec), "10.64.0.1", machine))


def test_a_pod_asks_the_cluster_and_means_its_own_namespace_by_short_names():
    assert text({}, Resolver()) == (
        "search books.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.64.0.1\noptions ndots:5\n"
    )
    assert text({"dnsPolicy": "ClusterFirst"}).splitlines()[0].endswith(" cluster.local corp.example")


def test_the_policy_default_is_the_machines_own_way():
    expected = "search corp.example\nnameserver 10.64.0.1\noptions timeout:2 rotate\n"
    assert text({"dnsPolicy": "Default"}) == expected


def test_dns_config_adds_to_the_policy_and_is_all_there_is_with_none():
    more = {
        "nameservers": ["10.64.0.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"],
        "searches": ["cluster.local", "more.example"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }
    assert text({"dnsConfig": more}, Resolver()) == (
        "search books.svc.cluster.local svc.cluster.local cluster.local more.example\n"
        "nameserver 10.64.0.1\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:2 edns0\n"
    )
    assert text({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"]}}) == "nameserver 192.0.2.1\n"


@pytest.mark.parametrize(
    ("spec", "name", "line"),
    [
        ({}, "mysql-0", "10.64.0.7\tmysql-0"),
        ({"hostname": "db"}, "db", "10.64.0.7\tdb"),
        (
            {"hostname": "db", "subdomain": "mysql"},
            "db",
            "10.64.0.7\tdb.mysql.books.svc.cluster.local\tdb",
        ),
        (
            {"hostname": "db", "subdomain": "mysql", "setHostnameAsFQDN": True},
            "db.mysql.books.svc.cluster.local",
            "10.64.0.7\tdb.mysql.books.svc.cluster.local\tdb",
        ),
    ],
)
def test_a_pod_knows_itself_by_its_hostname_and_in_a_subdomain_by_the_whole_of_it(spec: Object, name: str, line: str):
    assert hostname(pod(**spec)) == name
    written = hosts(pod(**spec), "10.64.0.7")
    assert written.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert written.splitlines()[-1] == line


def test_host_aliases_stand_below():
    aliases = [{"ip": "192.0.2.5", "hostnames": ["paper", "paper.example"]}, {"ip": "192.0.2.6", "hostnames": ["ink"]}]
    written = hosts(pod(hostAliases=aliases), "10.64.0.7")
    assert written.endswith(
        "10.64.0.7\tmysql-0\n\n# Entries added by HostAliases.\n192.0.2.5\tpaper\tpaper.example\n192.0.2.6\tink\n"
    )


def test_a_name_that_is_too_long_for_a_host_is_cut():
    long = {"metadata": {"name": "a" * 62 + "-bcd", "namespace": "books"}, "spec": {}}
    assert hostname(long) == "a" * 62


def test_no_other_source_of_names_is_asked():
    assert name_services("passwd: files\nhosts: files mdns4 resolve\n") == "passwd: files\nhosts: files dns\n"
