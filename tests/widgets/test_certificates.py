from meshlab.widgets import CertificatesWidget

PROXY = {"proxy": "b/b-1", "identity": "spiffe://cluster.local/ns/b/sa/b", "connected": True}
EDGE = {"source": "a/a", "destination": "b/b", "destination_workload": "b", "tls": "TLSv1.3"}


def shown(**changes) -> str:
    widget = CertificatesWidget()
    widget.show(**changes)
    return repr(widget)


def test_it_says_who_is_who_and_until_when() -> None:
    certificate = {"serial": "1", "not_before": 0, "not_after": 86400}
    text = shown(proxies=[{**PROXY, "certificate": certificate}, {**PROXY, "proxy": "b/b-2", "certificate": None}])
    assert "b/b-1: spiffe://cluster.local/ns/b/sa/b, valid until 1970-01-02 00:00 UTC" in text
    assert "b/b-2: no certificate yet" in text


def test_it_says_whether_calls_were_proven() -> None:
    rows = {
        "all": {"requests": 9, "failures": 0, "mtls": 9},
        "some failed": {"requests": 9, "failures": 2, "mtls": 7},
        "some open": {"requests": 9, "failures": 0, "mtls": 5},
    }
    lines = shown(edges=[{**EDGE, **row} for row in rows.values()]).splitlines()[-3:]
    assert [line.partition("requests, ")[2] for line in lines] == [
        "mTLS (TLSv1.3)",
        "mTLS (TLSv1.3), 2 failed",
        "4 in plain text",
    ]
