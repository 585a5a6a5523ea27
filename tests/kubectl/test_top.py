"""kubectl top: what pods and nodes use."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.kubectl


@pytest.fixture(autouse=True)
def measured(where):
    """A cluster that measures."""
    if where == "kind":
        pytest.skip("kind has no metrics server")


def test_top_shows_what_each_container_uses(kubectl, pod):
    spinning = kubectl.start("exec", pod, "-c", "server", "--", "sh", "-c", "while :; do :; done")
    try:
        said = kubectl("top", "pod", pod, "--containers")
        for _ in range(20):
            if re.search(r"\bserver +[1-9]\d{2,}m", said):
                break
            said = kubectl("top", "pod", pod, "--containers")
    finally:
        spinning.kill()
        spinning.communicate()
    rows = {name: (int(cpu), int(memory)) for name, cpu, memory in re.findall(r"(\w+) +(\d+)m +(\d+)Mi", said)}
    assert set(rows) == {"server", "reader", "screen"}
    assert rows["server"][0] >= 100, said
    assert rows["server"][1] >= 3
    assert rows["reader"][0] < rows["server"][0]


def test_top_pods_takes_selectors_and_sums(kubectl, busy):
    kubectl("rollout", "status", f"deployment/{busy}")
    assert re.fullmatch(rf"{busy}-\S+ +\d+m +\d+Mi\s*", kubectl("top", "pods", "-l", f"app={busy}", "--no-headers"))
    assert kubectl("top", "pods", "-l", "app=nobody") == f"No resources found in {kubectl.namespace} namespace.\n"


def test_top_nodes_shows_the_machine(kubectl):
    assert re.search(r"\n\S+ +\d+m +\d+% +\d+Mi +\d+%", kubectl("top", "nodes"))


def test_a_pod_that_is_not_there_has_no_figures(kubectl):
    said = kubectl("top", "pod", "nobody", fails=True)
    assert f'podmetrics.metrics.k8s.io "{kubectl.namespace}/nobody" not found' in said
