"""A lab as a visitor on a cluster that is there already: the README's words, and nothing of it left afterwards."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshlab import manifests
from meshlab.kube import dump

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kind.conftest import Terminal

pytestmark = pytest.mark.e2e

KINDS = (
    "crd,namespace,clusterrole,clusterrolebinding,apiservice,"
    "mutatingwebhookconfiguration,validatingwebhookconfiguration"
)
REGISTRY = """
docker() {{
  [ "$1" = push ] || {{ command docker "$@"; return; }}
  command docker exec {node} ctr -n k8s.io images tag --force docker.io/library/{image} "$2"
}}
"""
"""The cluster's node finds the image as if it had pulled it."""


@pytest.fixture
def visitor(bare: Terminal, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody whose kubeconfig has a context `my-cluster`."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(re.sub(r"\bkind-meshlab-e2e\b", "my-cluster", bare.lab.kubeconfig().read_text()))
    return {"KUBECONFIG": str(kubeconfig), "MESHLAB_NAME": "visitor"}


def test_the_readmes_commands_bring_a_mesh_to_it_and_take_away_what_they_brought(
    bare: Terminal, visitor: dict[str, str], readme: Callable[[str], str]
) -> None:
    split = next(crd for crd in manifests.read("crds") if crd["spec"]["names"]["kind"] == "TrafficSplit")
    bare.kubectl("apply", "-f", "-", stdin=dump(split))
    before = bare.kubectl("get", KINDS, "-o", "name")
    said = bare.shell(
        REGISTRY.format(node=bare.node, image=bare.lab.image) + readme("On an existing cluster"), env=visitor
    )
    assert "bookstore-v1" in said
    assert "Lab visitor is removed." in said
    objects = [*manifests.read("control-plane"), *manifests.read("demo")]
    brought = [f"namespace/{each['metadata']['name']}" for each in objects if each["kind"] == "Namespace"]
    bare.kubectl("wait", "--for=delete", *brought, "--timeout=90s")
    assert bare.kubectl("get", KINDS, "-o", "name") == before
    bare.kubectl("delete", "crd", split["metadata"]["name"])


def test_what_a_dry_run_prints_can_be_applied_by_kubectl_and_is_not_the_labs_to_remove(
    bare: Terminal, visitor: dict[str, str]
) -> None:
    printed = bare.meshlab("up", "--dry-run", "--no-demo", "--image", bare.lab.image)
    # The first time kubectl does not know the kinds yet that the same text brings.
    bare.kubectl("apply", "--server-side", "-f", "-", stdin=printed, check=False)
    bare.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=30s")
    assert "serverside-applied" in bare.kubectl("apply", "--server-side", "-f", "-", stdin=printed)
    bare.kubectl("rollout", "status", "deployment/meshlab-controller", "-n", "meshlab-system", "--timeout=60s")
    up = ("up", "--context", "my-cluster", "--no-demo", "--image", bare.lab.image)
    bare.meshlab(*up, env=visitor)
    assert "0 objects deleted" in bare.meshlab("down", env=visitor)
    assert "meshlab-controller" in bare.kubectl("get", "deployments", "-n", "meshlab-system")
    bare.kubectl("delete", "-f", "-", "--ignore-not-found", "--timeout=60s", stdin=printed)


def test_an_unknown_context_is_named(bare: Terminal, visitor: dict[str, str]) -> None:
    said = bare.meshlab("up", "--context", "nowhere", "--image", bare.lab.image, env=visitor, code=1)
    assert "ML154 context nowhere" in said
    assert "kubectl config get-contexts" in said
