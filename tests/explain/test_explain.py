"""May this call pass, by which policy, and what is in the way? Asked of a folder of YAML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from meshlab import manifests
from meshlab.cli.main import main
from meshlab.errors import LabError
from meshlab.kube import dump, load
from meshlab.lab import still
from meshlab.lab.explain import explain, of_request
from meshlab.lab.reading import Known

from .conftest import bookstore

Shop = Callable[..., Known]
BUYERS = {"client-app": "bookbuyer", "user-agent": "Go-http-client/1.1"}


def test_what_is_allowed_names_target_and_match(shop: Shop):
    found = explain(shop(), "bookbuyer", "bookstore", "GET /books-bought", BUYERS)
    assert found.allowed
    assert str(found) == (
        "✓ bookbuyer/bookbuyer → bookstore/bookstore:14001 GET /books-bought\n"
        "  allowed: TrafficTarget bookstore/bookstore lets bookbuyer/bookbuyer in, by match books-bought of "
        "bookstore/bookstore-routes"
    )


def test_a_caller_that_is_no_source_is_told_so_with_the_change_that_would_let_it_in(shop: Shop):
    found = explain(shop(), "bookthief", "bookstore", "GET /buy-a-book/new")
    assert not found.allowed
    assert "bookthief/bookthief is not among its sources (bookbuyer/bookbuyer)" in str(found)
    assert "To allow it: add bookthief/bookthief to the sources of TrafficTarget bookstore/bookstore." in str(found)
    assert "+    name: bookthief" in found.proposal.diff
    assert explain(
        still.of_objects([*shop().objects, *found.proposal.objects]), "bookthief", "bookstore", "/buy-a-book/new"
    ).allowed


def test_the_nearest_miss_is_the_match_for_the_path_that_was_asked_for(shop: Shop):
    found = explain(shop(), "bookbuyer", "bookstore", "GET /books-bought", {"client-app": "somebody"})
    assert "header client-app is 'somebody', and books-bought wants bookbuyer" in str(found)
    assert "header user-agent is absent" in str(found)


def test_permissive_mode_is_named_as_the_reason(shop: Shop):
    assert "in permissive mode every meshed workload" in str(explain(shop(permissive=True), "bookthief", "bookstore"))


def test_a_split_gives_an_answer_for_each_backend(shop: Shop):
    split = load(
        "apiVersion: split.smi-spec.io/v1alpha4\nkind: TrafficSplit\nmetadata: {name: b, namespace: bookstore}\n"
        "spec:\n  service: bookstore\n  backends:\n"
        "  - {service: bookstore-v1, weight: 75}\n  - {service: bookstore-v2, weight: 25}"
    )
    found = explain(still.of_objects([*shop().objects, *split]), "bookbuyer", "bookstore", "GET /buy-a-book/new")
    assert "75% of such calls go to bookstore/bookstore-v1|14001" in str(found)
    assert [arrival.share for arrival in found.arrivals] == [0.75, 0.25]


def test_a_caller_without_a_sidecar_is_refused_and_no_policy_would_help(shop: Shop):
    pod = load("apiVersion: v1\nkind: Pod\nmetadata: {name: stray, namespace: elsewhere}\nspec: {containers: []}")
    found = explain(still.of_objects([*shop().objects, *pod]), "stray", "bookstore")
    assert "the caller has no sidecar" in str(found)
    assert found.proposal is None
    with pytest.raises(LabError, match="ML512"):
        found.apply()


def test_a_service_with_no_pod_behind_it_says_so(shop: Shop):
    gone = {"Deployment", "EndpointSlice", "Pod"}
    objects = [obj for obj in shop().objects if obj["kind"] not in gone or obj["metadata"]["namespace"] == "bookstore"]
    found = explain(still.of_objects(objects), "bookstore-v1", "bookwarehouse:14001")
    assert "no pod is ready behind it" in str(found)


@pytest.mark.parametrize(
    ("source", "destination", "hint"),
    [
        ("bokbuyer", "bookstore", "did you mean bookbuyer?"),
        ("bookbuyer", "bookstor", "did you mean bookstore?"),
        ("bookbuyer", "bookstore:80", "write bookstore/bookstore:PORT"),
    ],
)
def test_a_name_that_nobody_has_gets_the_nearest_one(shop: Shop, source: str, destination: str, hint: str):
    with pytest.raises(LabError) as error:
        explain(shop(), source, destination)
    assert (error.value.code, hint in error.value.hint) == ("ML511", True)


def test_a_request_on_record_is_told_with_what_the_proxies_said(shop: Shop):
    row = {
        "id": "r1",
        "time": 1_700_000_000.0,
        "source": "bookthief/bookthief",
        "root": "bookstore/bookstore|14001",
        "service": "bookstore/bookstore-v1|14001",
        "http": True,
        "method": "GET",
        "path": "/buy-a-book/new",
        "headers": {},
        "status": 503,
        "milliseconds": 1.25,
        "arrived": False,
        "allowed_by": "",
        "flags": ["UF"],
        "meaning": "the caller's proxy could not connect",
    }
    said = str(of_request(shop(), row))
    assert "It was made at 22:13:20 UTC: answered 503 after 1.2 ms." in said
    assert "It never arrived at a server's proxy." in said
    assert "In the proxy's words: the caller's proxy could not connect (UF)." in said
    assert "is not among its sources" in said


def test_html_says_the_same_and_escapes_what_people_wrote(shop: Shop):
    html = explain(shop(), "bookthief", "bookstore", "GET /<b>")._repr_html_()
    assert "/&lt;b&gt;" in html
    assert "✗" in html
    assert "color" not in html


def test_the_command_line_answers_from_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "all.yaml").write_text(dump(bookstore(permissive=False)))
    ask = ["explain", "-f", str(tmp_path), "bookbuyer", "bookstore"]
    assert main([*ask, "GET /buy-a-book/new"]) == 0
    assert main([*ask, "GET /books-bought", *(f"-H{name}: {value}" for name, value in BUYERS.items())]) == 0
    assert main([*ask, "DELETE /buy-a-book/new"]) == 1
    assert "add method DELETE to match buy-a-book" in capsys.readouterr().out


def test_workloads_that_the_injector_would_pass_by_are_known_as_unmeshed():
    objects = [obj for obj in manifests.read("demo") if obj["kind"] != "Namespace"]
    assert not any(workload.meshed for workload in still.of_objects(objects).world.workloads)
