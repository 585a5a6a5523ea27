"""A pod's first call and its last go through its sidecar: that is ready before the app, and ends after it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunningLab
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

CALL = "import urllib.request as u; print(u.urlopen('http://bookstore.bookstore:14001/books-bought').status)"
ERRAND = f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: errand, namespace: bookbuyer}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      serviceAccountName: bookbuyer
      initContainers:
      - {{name: before, image: IMAGE, command: [python, -c, "{CALL}"]}}
      containers:
      - {{name: errand, image: IMAGE, command: [python, -c, "{CALL}"]}}
"""


async def test_a_job_calls_with_its_first_breath_and_completes(story: Story, demo: RunningLab) -> None:
    def run(*arguments: str) -> str:
        return demo.kubectl(*arguments, "--namespace=bookbuyer")

    def errand() -> None:
        demo.kubectl("apply", "-f", "-", stdin=ERRAND.replace("IMAGE", demo.image))
        try:
            run("wait", "job/errand", "--for=condition=Complete", "--timeout=60s")
            assert [run("logs", "job/errand", f"--container={name}") for name in ("before", "errand")] == ["200\n"] * 2
            assert "envoy runs for errand-" in run("logs", "job/errand", "--container=envoy")
            states = "jsonpath={.items[0].status.initContainerStatuses[*].state.terminated.exitCode}"
            assert set(run("get", "pods", "--selector=job-name=errand", f"--output={states}").split()) == {"0"}
        finally:
            run("delete", "job", "errand")

    await story.mode(permissive=True)
    await asyncio.to_thread(errand)
