"""kubectl cp: files and folders, both ways."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.kubectl


def test_a_folder_goes_into_a_container_and_comes_back(kubectl, pod, tmp_path):
    there, back = tmp_path / "there", tmp_path / "back"
    (there / "deep").mkdir(parents=True)
    (there / "deep" / "noise").write_bytes(os.urandom(3_000_000))
    (there / "a name with spaces").write_text("text")
    kubectl("cp", str(there), f"{pod}:copied", "-c", "server")
    listed = kubectl("exec", pod, "-c", "server", "--", "find", "copied", "-type", "f")
    assert "copied/deep/noise" in listed
    kubectl("cp", f"{pod}:copied", str(back), "-c", "server")
    for name in ("deep/noise", "a name with spaces"):
        assert (back / name).read_bytes() == (there / name).read_bytes()


def test_what_is_not_there_can_not_be_copied(kubectl, pod, tmp_path):
    kubectl("cp", f"{pod}:no-such-file", str(tmp_path / "copy"), "-c", "server", fails=None)  # kubectl says it or not
    assert not (tmp_path / "copy").exists()
    said = kubectl("cp", str(tmp_path / "nothing"), f"{pod}:nothing", "-c", "server", fails=True)
    assert "doesn't exist in local filesystem" in said
