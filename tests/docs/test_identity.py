"""The examples of docs/identity.md are sound, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from meshlab.kube import Object
from meshlab.policy.osm import Osm

PAGE = Path(__file__).parents[2] / "docs" / "identity.md"


def examples() -> list[Object]:
    found = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)]
    assert len(found) == 3
    return found


def test_each_example_can_be_applied_beside_the_first_root() -> None:
    first = {**examples()[1], "metadata": {"name": "meshlab-root", "namespace": "meshlab-system"}}
    for example in examples():
        assert Osm().validate(example, [first]) == []
