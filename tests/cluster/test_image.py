"""What is in the image that pods on a real cluster run?"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from meshlab.cluster.image import contents, image_name
from meshlab.version import __version__


@pytest.fixture
def context(tmp_path: Path) -> tarfile.TarFile:
    packages = tmp_path / "packages"
    packages.mkdir(mode=0o700)
    (packages / "module.py").touch(mode=0o600)
    contents.write_context(tmp_path / "context.tar", packages)
    return tarfile.open(fileobj=io.BytesIO((tmp_path / "context.tar").read_bytes()))


def test_it_has_the_code_of_pods_and_nothing_of_the_learners_machine(context: tarfile.TarFile) -> None:
    names = context.getnames()
    for wanted in ("controlplane/__main__.py", "dataplane/envoy/intercept.py", "apps/page.html", "codes.toml"):
        assert f"code/meshlab/{wanted}" in names
    assert not [
        name for name in names if name.startswith(("code/meshlab/cluster", "code/meshlab/lab", "code/meshlab/cli"))
    ]
    assert not [name for name in names if "__pycache__" in name]


def test_policy_languages_are_found_in_it(context: tarfile.TarFile) -> None:
    file = context.extractfile(f"code/meshlab-{__version__}.dist-info/entry_points.txt")
    assert file is not None
    assert b"[meshlab.policy]" in file.read()


def test_everybody_in_a_pod_can_read_it(context: tarfile.TarFile) -> None:
    assert all(entry.mode & 0o004 for entry in context.getmembers())
    assert context.getmember("packages").mode & 0o755 == 0o755


def test_another_content_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image_name()
    assert before == image_name()
    assert before.startswith(f"meshlab:{__version__}-")
    monkeypatch.setattr(contents, "BASE_IMAGE", "another")
    assert image_name() != before
