"""What do proxies report, and how does it become edges, windows and figures?

The stream that the lab reads (`GET /apis/observe.meshlab.dev/v1alpha1/stream`) is one JSON object a line,
twice a second, also when nothing happened, so that a reader sees time pass::

    {"t": 1700000000.5,                # end of the window, seconds since the epoch
     "window": 0.5,                    # its length in seconds; counts belong to it alone
     "permissive": true,               # the mode in force
     "edges": [{                       # only edges with requests in this window
        "source": "bookbuyer/bookbuyer",            # identity namespace/service account, "" when not proven
        "source_workload": "bookbuyer",             # owner's name, else the pod's
        "destination": "bookstore/bookstore",
        "destination_workload": "bookstore-v1",
        "service": "bookstore/bookstore-v1|14001",  # the upstream called
        "requests": 3, "failures": 1, "mtls": 3,    # failures: 4xx that the mesh gave (403), 5xx, no answer
        "statuses": {"200": 2, "403": 1},           # 0: no answer, or a connection that carries no HTTP
        "latency": {"1": 0, "2": 2, "5": 1},        # milliseconds, upper bound of the bucket -> count, so that
        "p50": 1.6, "p90": 4.1, "p99": 4.8}]}       # edges and windows can be added up and percentiles stay true

Each edge also has `root` (the Service port that was asked for; a split may have sent it to another, the
`service`), `version` (the destination pod's label of that name), `bytes_sent` and `bytes_received` (bodies, seen
from the caller), `tls` (the version, "" for none), `allowed_by` (names of the permissions that let requests in)
and `reasons` (why requests failed, in the proxies' words, with counts).

A request is counted once: as its caller's proxy reported it, or, when the caller has none, as the server's did.
"""
