"""kubectl, in the namespace that a test has for itself."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from meshlab.lab.kubectl import find_kubectl


@pytest.fixture
def kubectl(ground: Path, corner):
    def run(*arguments: str, check: bool = True) -> str:
        command = [str(find_kubectl()), "--kubeconfig", str(ground), "-n", corner.namespace, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done.stdout + done.stderr

    async def in_thread(*arguments: str, check: bool = True) -> str:
        return await asyncio.to_thread(run, *arguments, check=check)

    return in_thread
