"""The bookstore as its manifests say it, without a cluster."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meshlab import manifests
from meshlab.kube import Object
from meshlab.lab import still
from meshlab.lab.reading import Known


def bookstore(*, permissive: bool, policies: bool = True) -> list[Object]:
    folders = ("control-plane", "demo", *(["demo/policies"] if policies else []))
    objects = [obj for folder in folders for obj in manifests.read(folder)]
    for obj in objects:
        if obj["kind"] == "MeshConfig":
            obj["spec"]["traffic"]["enablePermissiveTrafficPolicyMode"] = permissive
    return objects


@pytest.fixture
def shop() -> Callable[..., Known]:
    def known(*, permissive: bool = False, policies: bool = True) -> Known:
        return still.of_objects(bookstore(permissive=permissive, policies=policies))

    return known
