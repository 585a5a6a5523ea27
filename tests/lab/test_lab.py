"""The lab as a notebook uses it, on a running mesh with the bookstore."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

import meshlab
from meshlab.errors import ClusterError, LabError, PolicyError
from meshlab.lab import checks, magics

pytestmark = pytest.mark.e2e
PATIENCE = 15

SPLIT = """
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: bookstore, namespace: bookstore}
spec:
  service: bookstore
  backends:
  - {service: bookstore-v1, weight: V1}
  - {service: bookstore-v2, weight: V2}
"""


def split(v1: int, v2: int) -> str:
    return SPLIT.replace("V1", str(v1)).replace("V2", str(v2))


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def lab(demo) -> meshlab.Lab:
    return meshlab.up(name=demo.name)


@pytest.fixture(autouse=True)
def no_split(demo) -> Iterator[None]:
    yield
    demo.kubectl("delete", "trafficsplit", "--all", "-n", "bookstore")


def weights(demo) -> dict[str, int]:
    found = json.loads(demo.kubectl("get", "trafficsplits", "-n", "bookstore", "-o", "json"))["items"]
    return {row["service"]: row["weight"] for row in found[0]["spec"]["backends"]} if found else {}


def test_up_can_be_repeated_and_gives_the_same_lab(lab, demo) -> None:
    assert meshlab.up(name=demo.name) is lab


def test_a_lab_says_where_it_runs_in_which_mode_and_how_it_is(lab) -> None:
    for text in (repr(lab), lab._repr_html_()):
        assert "loopback (cooperative" in text
        assert "permissive (every" in text
        assert "✓ 1 node" in text


def test_a_receipt_names_every_proxy_that_took_the_change(lab) -> None:
    receipt = lab.apply(split(80, 20))
    (applied,) = receipt.objects
    assert receipt.ok
    assert applied.action == "created"
    assert any(answer.proxy.startswith("bookbuyer/") for answer in applied.answers)
    assert all(answer.acknowledged and answer.milliseconds < 5000 for answer in applied.answers)


def test_the_same_yaml_again_changes_nothing(lab) -> None:
    lab.apply(split(80, 20))
    assert lab.apply(split(80, 20)).objects[0].action == "unchanged"
    assert lab.apply(split(70, 30)).objects[0].action == "configured"


def test_a_field_that_kubectl_owns_is_a_conflict_until_it_is_taken_over(lab, demo) -> None:
    demo.kubectl("apply", "--server-side", "--field-manager=somebody", "-f", "-", stdin=split(80, 20))
    with pytest.raises(LabError, match=r"ML501 TrafficSplit bookstore/bookstore: .*somebody"):
        lab.apply(split(70, 30))
    assert lab.apply(split(70, 30), force=True).ok


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("kind: [", PolicyError, "ML201"),
        ("a: 1\nb: 2", PolicyError, "ML202"),
        (split(80, 20).replace("TrafficSplit", "TrafficSplitt"), PolicyError, "ML203"),
        (split(-1, 20), ClusterError, "ML250"),
        (split(0, 0), ClusterError, "ML251"),
    ],
)
def test_bad_yaml_is_a_coded_error_and_changes_nothing(lab, demo, text, error, said) -> None:
    with pytest.raises(error, match=said):
        lab.apply(text)
    assert weights(demo) == {}


def test_what_was_applied_before_an_error_is_named(lab) -> None:
    with pytest.raises(PolicyError, match=r"[Aa]pplied before it: TrafficSplit bookstore/bookstore"):
        lab.apply(split(80, 20) + "---\napiVersion: v1\nkind: Nothing\nmetadata: {name: a}\n")


def test_sliders_begin_with_even_shares_and_write_a_split_when_moved(lab, demo) -> None:
    widget = lab.split("bookstore")
    until(lambda: not widget.state["exists"])
    assert widget.weights == {"bookstore-v1": 50, "bookstore-v2": 50}
    widget._heard(widget, {"type": "move", "weights": {"bookstore-v1": 25, "bookstore-v2": 75}}, [])
    until(lambda: "acknowledged by" in widget.state["receipt"])
    assert weights(demo) == {"bookstore-v1": 25, "bookstore-v2": 75}
    assert "weight: 75" in widget.state["yaml"]


def test_the_command_under_the_sliders_does_the_same(lab, demo) -> None:
    widget = lab.split("bookstore")
    widget._heard(widget, {"type": "move", "weights": {"bookstore-v1": 25, "bookstore-v2": 75}}, [])
    until(lambda: weights(demo) == widget.weights == {"bookstore-v1": 25, "bookstore-v2": 75})
    first, _, rest = widget.state["command"].partition("\n")
    assert first.endswith("<<'EOF'")
    before = demo.kubectl("get", "trafficsplits", "-n", "bookstore", "-o", "yaml", "--show-managed-fields")
    demo.kubectl(*first.split()[1:-1], stdin=rest.removesuffix("EOF\n"))
    after = demo.kubectl("get", "trafficsplits", "-n", "bookstore", "-o", "yaml", "--show-managed-fields")
    assert after == before


def test_sliders_follow_an_edit_made_by_kubectl(lab, demo) -> None:
    widget = lab.split("bookstore")
    demo.kubectl("apply", "--server-side", "--field-manager=somebody", "-f", "-", stdin=split(10, 90))
    until(lambda: widget.weights == {"bookstore-v1": 10, "bookstore-v2": 90})
    assert widget.state["receipt"] == "As somebody wrote it."
    demo.kubectl("delete", "trafficsplit", "bookstore", "-n", "bookstore")
    until(lambda: not widget.state["exists"])


def test_of_many_moves_the_last_one_wins_and_few_are_written(lab, demo) -> None:
    widget = lab.split("bookstore")
    for v1 in range(100, 32, -1):
        widget._heard(widget, {"type": "move", "weights": {"bookstore-v1": v1, "bookstore-v2": 100 - v1}}, [])
    until(lambda: weights(demo) == {"bookstore-v1": 33, "bookstore-v2": 67})
    generation = demo.kubectl("get", "ts", "bookstore", "-n", "bookstore", "-o", "jsonpath={.metadata.generation}")
    assert int(generation) < 30


def test_a_refused_slider_goes_back_and_says_why(lab, demo) -> None:
    widget = lab.split("bookstore")
    lab.apply(split(80, 20))
    until(lambda: widget.weights == {"bookstore-v1": 80, "bookstore-v2": 20})
    turn = widget.state["turn"]
    widget._heard(widget, {"type": "move", "weights": {"bookstore-v1": 0, "bookstore-v2": 0}}, [])
    until(lambda: "ML251" in widget.state["error"])
    assert widget.weights == {"bookstore-v1": 80, "bookstore-v2": 20}
    assert widget.state["turn"] > turn


@pytest.mark.parametrize(("service", "said"), [("bookz", "ML503"), ("bookwarehouse", "ML504")])
def test_a_service_that_cant_be_split_is_an_error_that_says_why(lab, service, said) -> None:
    with pytest.raises(LabError, match=said):
        lab.split(service)


def test_the_dashboard_hears_of_real_requests(lab) -> None:
    dashboard = lab.watch()
    until(lambda: dashboard.history and dashboard.history[-1]["edges"].get("bookbuyer → bookstore", 0) > 1)
    assert lab.watch() is dashboard
    assert dashboard.history[-1]["permissive"]


def test_certificates_tell_who_is_who_and_what_was_proven(lab) -> None:
    text = repr(lab.certificates())
    assert "spiffe://cluster.local/ns/bookbuyer/sa/bookbuyer, valid until" in text
    until(lambda: "bookbuyer/bookbuyer → bookstore/bookstore" in repr(lab.certificates()))
    assert "mTLS (TLSv1.3)" in repr(lab.certificates())


async def test_observing_gives_a_table_of_fresh_calls(lab) -> None:
    edges = await lab.observe(2)
    assert {"source", "root", "version", "requests", "mtls", "rate", "success"} <= set(edges.columns)
    assert (edges.mtls == edges.requests).all()


async def test_a_check_that_fails_says_what_it_found_and_a_hint(lab, monkeypatch) -> None:
    monkeypatch.setattr(checks, "_PATIENCE_SECONDS", 0)
    outcome = await lab.check("02-1")
    assert not outcome.passed
    assert repr(outcome).startswith("✗ 02-1 Everything goes to v1: ")
    assert "Hint: apply a TrafficSplit" in repr(outcome)


async def test_an_unknown_check_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(LabError, match="ML505 99-9: there is no such check\nHint: there are 00-1"):
        await checks.run(None, "99-9")


def test_the_magics_speak_kubectl_and_smi(lab, demo, capsys) -> None:
    shell = InteractiveShell()
    magics.load_ipython_extension(shell)
    shell.run_line_magic("kubectl", "get trafficsplits -n bookstore")
    assert "No resources found" in capsys.readouterr().out
    receipt = shell.run_cell_magic("smi", "", split(60, 40))
    assert receipt.ok
    patch = '{"spec": {"backends": [{"service": "bookstore-v1", "weight": 5}]}}'
    shell.run_line_magic("kubectl", f"patch trafficsplit bookstore -n bookstore --type merge -p '{patch}'")
    assert weights(demo) == {"bookstore-v1": 5}
    with pytest.raises(LabError, match="ML507"):
        shell.run_cell_magic("smi", "--frce", split(1, 1))


def test_magics_without_a_lab_say_what_to_do(monkeypatch) -> None:
    monkeypatch.setattr(magics, "_in_use", {})
    with pytest.raises(LabError, match=r"ML506 .*\nHint: lab = meshlab.up"):
        magics.smi("", split(1, 1))


def test_loading_the_extension_is_enough() -> None:
    shell = InteractiveShell()
    shell.extension_manager.load_extension("meshlab")
    assert "kubectl" in shell.magics_manager.magics["line"]
    assert "smi" in shell.magics_manager.magics["cell"]


def test_work_of_many_threads_is_done_on_one(lab) -> None:
    async def look() -> list[Any]:
        return await asyncio.gather(*(asyncio.to_thread(lab.edges, 1) for _ in range(8)))

    assert len(asyncio.run(look())) == 8


def test_a_lab_that_was_let_go_comes_back_as_a_new_one(lab, demo) -> None:
    dashboard = lab.watch()
    lab.close()
    again = meshlab.up(name=demo.name)
    assert again is not lab
    assert again.watch() is not dashboard
    until(lambda: again.watch().history)
    again.close()
