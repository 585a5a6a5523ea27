"""Text becomes objects, or an error that says which line to look at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlab.errors import PolicyError
from meshlab.kube import Kind, Ref, dump, load, matches_labels

SPLIT = """
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: till, namespace: shop}
spec: {service: till, backends: [{service: till-v1, weight: 1}]}
"""


def test_every_document_of_a_stream_is_read_and_empty_ones_are_passed_over():
    assert [Ref.of(obj).name for obj in load(f"---\n{SPLIT}---\n---\n{SPLIT.replace('till,', 'till2,')}")] == [
        "till",
        "till2",
    ]


def test_a_list_is_unfolded():
    text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a}}\n"
    assert [str(Ref.of(obj)) for obj in load(text)] == ["Secret a"]


def test_broken_yaml_names_line_and_column():
    with pytest.raises(PolicyError, match=r"ML201 cell: line 3, column \d+") as caught:
        load("apiVersion: v1\nkind: [Secret\n", source="cell")
    assert caught.value.hint == "check the indentation there"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("kind: Secret\nmetadata: {name: a}", "apiVersion"),
        ("apiVersion: v1\nmetadata: {name: a}", "kind"),
        ("apiVersion: v1\nkind: Secret", "metadata.name"),
        ("apiVersion: v1\nkind: Secret\nmetadata: nonsense", "metadata.name"),
    ],
)
def test_a_document_that_is_no_object_is_told_what_it_lacks(text, missing):
    with pytest.raises(PolicyError, match=rf"ML202 .*missing {missing}"):
        load(text)


def test_a_document_that_is_a_list_is_refused():
    with pytest.raises(PolicyError, match="it is a list"):
        load("- 1\n- 2\n")


leaves = (
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]))
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
)


@given(spec=values)
def test_what_is_dumped_loads_as_the_same(spec):
    obj = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec}
    assert load(dump(obj)) == [obj]


def test_an_empty_selector_selects_nothing():
    assert not matches_labels({}, {"app": "till"})
    assert matches_labels({"app": "till"}, {"app": "till", "version": "v1"})


def test_paths_of_core_and_grouped_kinds():
    assert Kind("v1", "Pod", "pods").path("shop", "till", "log") == "/api/v1/namespaces/shop/pods/till/log"
    assert Kind("apps/v1", "Deployment", "deployments").path() == "/apis/apps/v1/deployments"
    assert Kind("v1", "Node", "nodes", namespaced=False).path("shop", "one") == "/api/v1/nodes/one"
