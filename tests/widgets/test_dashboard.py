from meshlab.widgets.dashboard import KEPT_POINTS, MAX_LINES, Dashboard, point


def edge(source: str = "bookbuyer", to: str = "bookstore-v1", requests: int = 1, failures: int = 0, **more) -> dict:
    return {
        "source": f"{source}/{source}",
        "source_workload": source,
        "destination_workload": to,
        "service": f"bookstore/{to}|14001",
        "root": "bookstore/bookstore|14001",
        "requests": requests,
        "failures": failures,
        "latency": {"2": requests},
        **more,
    }


def line(t: float, *edges: dict) -> dict:
    return {"t": t, "window": 0.5, "permissive": True, "edges": list(edges)}


def test_rates_are_requests_by_the_seconds_that_passed() -> None:
    found = point([line(1.0, edge(requests=3)), line(1.5, edge(requests=1), edge(to="bookstore-v2", requests=2))])
    assert found["versions"] == {"bookstore-v1": 4.0, "bookstore-v2": 2.0}
    assert found["edges"] == {"bookbuyer → bookstore": 6.0}


def test_refused_requests_were_asked_but_not_answered() -> None:
    found = point([line(1.0, edge(requests=4, failures=4), edge("bookthief", requests=4))])
    assert found["success"] == {"bookbuyer → bookstore": 0.0, "bookthief → bookstore": 100.0}
    assert found["versions"] == {"bookstore-v1": 8.0}


def test_percentiles_are_those_of_all_requests_together() -> None:
    fast, slow = edge(requests=98, latency={"2": 98}), edge("bookthief", requests=2, latency={"64": 2})
    found = point([line(1.0, fast), line(1.5, slow)])
    assert found["latency"]["p50"] < 2.1
    assert found["latency"]["p99"] > 50


def test_without_requests_there_is_no_success_and_no_latency() -> None:
    found = point([line(1.0)])
    assert (found["edges"], found["success"], found["latency"]) == ({}, {}, {})


def test_memory_is_bounded_in_time_and_in_lines() -> None:
    dashboard = Dashboard()
    for slot in range(KEPT_POINTS * 2):
        dashboard.heard(line(slot / 2, *(edge(f"client-{number}") for number in range(50))))
    assert len(dashboard.history) == KEPT_POINTS
    assert len(dashboard.history[-1]["edges"]) == MAX_LINES
    assert len(dashboard._recent) == 20, "ten seconds of lines"


def test_a_page_that_opens_late_gets_the_points_so_far_and_no_other_page_gets_them_again() -> None:
    dashboard, sent = Dashboard(), []
    dashboard.send = lambda content, buffers=None: sent.append(content)
    dashboard.heard(line(1.0, edge()))
    dashboard.heard(line(1.5, edge()))
    assert [point["t"] for point in dashboard.get_state("history")["history"]] == [1.0, 1.5]
    assert [content["point"]["t"] for content in sent] == [1.0, 1.5]


def test_it_says_the_figures_in_words() -> None:
    dashboard = Dashboard()
    assert "waits" in dashboard.text()
    dashboard.heard(line(1.0, edge(requests=2)))
    assert "bookbuyer → bookstore 4.0/s, 100 % ok" in repr(dashboard)
    assert dashboard.text() in dashboard._repr_mimebundle_()[0]["text/plain"]


def test_plotly_is_sent_when_a_page_asks_and_only_then() -> None:
    dashboard, sent = Dashboard(), []
    dashboard.send = lambda content, buffers=None: sent.append((content, buffers))
    dashboard._asked(dashboard, {"type": "plotly"}, [])
    assert [(content["type"], len(buffers)) for content, buffers in sent] == [("plotly", 1)]
    assert len(sent[0][1][0]) < 2_000_000
