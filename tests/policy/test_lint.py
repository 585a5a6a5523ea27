"""What a person learns about files before any cluster has seen them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlab.cli.main import main
from meshlab.errors import PolicyError
from meshlab.kube import dump
from meshlab.policy import languages
from meshlab.policy.lint import Remark, lint, written

SPLIT = """\
# shares calls
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: new-prices, namespace: catalogue}
spec:
  service: price-list
  backends:
  - service: price-list-old
    weight: 3
  - service: price-list-new
    weight: -1
"""
GROUP = """\
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: routes}
spec: {matches: [{name: all}, {name: all}]}
"""


def remarks(*texts: str) -> list[Remark]:
    return lint([item for index, text in enumerate(texts) for item in written(text, f"{index}.yaml")], languages())


def test_a_finding_names_file_line_field_object_and_cure() -> None:
    (remark,) = remarks("", SPLIT)
    assert str(remark) == (
        "1.yaml:11: error: ML250 TrafficSplit catalogue/new-prices: spec.backends[1].weight: "
        "-1 is less than nothing. Hint: write 0 to send nothing there"
    )


def test_a_field_that_is_missing_is_found_where_it_should_stand() -> None:
    (remark,) = remarks(SPLIT.replace("    weight: -1\n", ""))
    assert (remark.line, remark.finding.field) == (10, "spec.backends[1].weight")


def test_files_are_held_against_each_other() -> None:
    target = """\
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: readers, namespace: default}
spec:
  destination: {kind: ServiceAccount, name: a, namespace: default}
  sources: [{kind: ServiceAccount, name: b, namespace: default}]
  rules: [{kind: HTTPRouteGroup, name: routes}]
"""
    assert [one.finding.code for one in remarks(target)] == ["ML226"]
    assert remarks(target, GROUP.replace("[{name: all}, {name: all}]", "[{name: all}]")) == []


def test_every_object_of_a_list_has_its_own_lines() -> None:
    items = "".join(f"- {line}\n" if index == 0 else f"  {line}\n" for index, line in enumerate(GROUP.splitlines()))
    (remark,) = remarks(f"---\n---\nkind: List\napiVersion: v1\nitems:\n{items}")
    assert (remark.line, remark.finding.code) == (9, "ML231")


def test_an_object_that_stands_twice_is_told() -> None:
    assert ("1.yaml", "ML204") in [(one.source, one.finding.code) for one in remarks(GROUP, GROUP)]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("TrafficSplit", "TrafficSplitt", "ML203"),
        ("v1alpha4", "v1alpha9", "ML210"),
        ("new-prices", "7", "ML210"),
        ("catalogue", "[1]", "ML210"),
    ],
)
def test_what_is_no_policy_is_told(old: str, new: str, code: str) -> None:
    assert remarks(SPLIT.replace(old, new))[0].finding.code == code


def test_other_kinds_are_none_of_its_business() -> None:
    assert remarks("apiVersion: split.example/v1\nkind: TrafficSplit\nmetadata: {name: x}\n") == []


@given(st.text(alphabet="ab:-[]{} \n&*'\"|>#,?!%@`\t", max_size=60))
def test_any_text_gets_findings_or_an_error_with_a_code(text: str) -> None:
    with suppress(PolicyError):
        remarks(GROUP + "---\n" + text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["name", "namespace", "labels"]), json_values), json_values)
def test_any_object_gets_findings(metadata: dict[str, object], spec: object) -> None:
    obj = {"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit", "metadata": metadata, "spec": spec}
    with suppress(PolicyError):
        assert remarks(dump(obj))


@pytest.mark.parametrize("spec", ["5", "{ports: 7}", "{ports: [x]}"])
def test_a_service_of_an_impossible_shape_has_a_code(spec: str) -> None:
    service = f"apiVersion: v1\nkind: Service\nmetadata: {{name: price-list, namespace: catalogue}}\nspec: {spec}\n"
    with pytest.raises(PolicyError, match="ML206"):
        remarks(SPLIT.replace("-1", "1"), service)


def test_the_command_reads_folders_and_ends_with_1_on_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "split.yml").write_text(SPLIT)
    (tmp_path / "notes.txt").write_text("no: [yaml")
    assert main(["lint", str(tmp_path)]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"{tmp_path}/deeper/split.yml:11: error: ML250 ")
    assert shown[-1] == "1 objects: 1 errors, 0 warnings"


def test_the_command_reads_standard_input_and_prints_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = tmp_path / "stdin"
    text.write_text(SPLIT.replace("namespace: catalogue", "").replace("weight: -1", "weight: 1"))
    with text.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert main(["lint", "-n", "shop", "-o", "json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(("name", "content"), [("absent.yaml", None), ("binary.yaml", b"\xff\xfe\x00")])
def test_a_file_that_can_not_be_read_has_a_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["lint", str(tmp_path / name)]) == 1
    assert capsys.readouterr().err.startswith("ML205 ")


def test_the_demos_own_policies_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(__file__).parents[2] / "meshlab" / "manifests" / "demo"
    assert main(["lint", str(folder)]) == 0
    assert capsys.readouterr().out.endswith(" 0 errors, 0 warnings\n")
