"""The loop that joins everything: what the cluster says becomes what every proxy is told.

Kubernetes objects → `facts` → World → ProxyView per proxy → Snapshot → delta xDS; access logs come back up
into per-edge windows. It runs as a pod (`python -m meshlab.controlplane`) and meets its cluster only at the
Kubernetes API.

The aggregated API, ``/apis/observe.meshlab.dev/v1alpha1/…`` (a kubeconfig is all a reader needs; an EDGE is
described in `meshlab.observe`; times are seconds since the epoch):

``edges?window=30``
    ``{"kind": "EdgeList", "t": …, "window": 30.0, "permissive": true, "edges": [EDGE, …]}``
``stream``
    Newline-delimited JSON, twice a second, only what is new since the line before (see `meshlab.observe`).
    Each request is in exactly one line, so that sums over lines are true counts. Ask with ``?watch=true``, or the
    API server ends it after a minute; ``&since=T`` begins after time T, for a reader that was cut off.
``proxies``
    ``{"kind": "ProxyList", "items": [{"proxy": "namespace/pod", "workload": "owner", "identity": "spiffe://…",
    "connected": true, "certificate": {"serial": "…", "not_before": …, "not_after": …},
    "connected_since": …, "acknowledged": {"TYPE_URL": "VERSION"}, "refused": null | {"type_url": …, "reason": …},
    "milliseconds": 3.2}]}``. `milliseconds` is what its last acknowledgement took.
``receipts?kind=TrafficSplit&namespace=…&name=…&resourceVersion=…&wait=5``
    Waits until every proxy that the change concerns has acknowledged or refused it, or until the timeout (for a
    deletion, whose version nobody is told, ask with ``&deleted=true``):
    ``{"kind": "Receipt", "object": {"kind", "namespace", "name", "resourceVersion"}, "seen": true,
    "complete": true, "generation": 12, "milliseconds": 4.1, "findings": [{"code", "about", "field", "what",
    "cure", "severity"}], "proxies": [{"proxy": "namespace/pod", "acknowledged": true, "milliseconds": 3.9,
    "refused": ""}]}``. No proxies: the change made no difference to any.
``exchanges?recent=100``
    What was asked of whom, as far as policies care, since the leader began to lead:
    ``{"kind": "ExchangeList", "since": …, "kinds": [KIND, …], "recent": [REQUEST, …]}``. A KIND is
    ``{"source": "namespace/account", "destination", "service": "namespace/name|port", "port": 14001, "http": true,
    "method", "path", "headers": {…}, "first": …, "last": …, "count": 7, "refused": 0,
    "allowed_by": ["namespace/name"]}``; `headers` are those that policies for the destination spoke of then
    (null: absent), and ``:authority``. A REQUEST has the same fields as far as ``headers``, and ``"id", "time",
    "source_workload", "destination_workload", "root", "status", "milliseconds", "arrived": true, "refused": false,
    "allowed_by": "…", "flags": ["UF"], "meaning": "in plain words", "certificate": "serial of the caller's, as it
    was shown"``.
``configuration?namespace=…&name=POD``
    What a proxy runs by: ``{"kind": "ProxyConfiguration", "proxy": "namespace/pod", "connected": true, "generation": 4,
    "settled": 4, "milliseconds": 3.2, "refused": [], "resources": [{"kind": "Listener", "name", "version", "body"}],
    "overlays": [{"overlay": "namespace/name", CHANGE}], "told": [{"generation": 4, "time": …, "everything": false,
    "because": ["TrafficSplit bookstore/bookstore"], "milliseconds": 3.2, "refused": [], "changes": [CHANGE, …]}]}``.
    A CHANGE is ``"kind", "name", "before": null | {…}, "after": null | {…}``. Private keys are left out.
``mesh``
    ``{"kind": "Mesh", "permissive": true, "egress": false, "trust_domain": "cluster.local", "generation": 12,
    "proxies": 5, "connected": 5, "findings": […]}``.
``trust``
    ``{"kind": "Trust", "trust_domain": "cluster.local", "version": "…", "signer": "meshlab-root",
    "authorities": [{"name": "meshlab-root", "id": "…", "signs": true, "provider": "tresor", "serial": "…",
    "not_after": …}], "proxies": 5, "behind": [{"who": "namespace/pod", "what": "…"}], "certificates": 4,
    "first_expiry": {"identity": "spiffe://…", "not_after": …}, "findings": […]}``. `authorities` are those that
    everybody is to trust; `behind` are those who have not taken that yet, or have no certificate of the signer.
"""
