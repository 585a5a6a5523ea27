"""What processes use is measured where they are, children and sessions of their own included."""

from __future__ import annotations

import os
import subprocess
import sys

from meshlab.cluster.embedded.node import meter

SPIN = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nprint(flush=True); input()"


def test_a_container_s_use_is_that_of_all_its_processes():
    key = ("uid", "main")
    script = f"setsid {sys.executable} -c '{SPIN}'; true"
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as spinning:
        before = meter._sample({spinning.pid: key, os.getpid(): ("uid", "other")})
        spinning.stdout.readline()
        after = meter._sample({spinning.pid: key, os.getpid(): ("uid", "other")})
        spinning.communicate(b"\n")
    reading = meter._between(before, after, "here")
    used = reading.containers[key]
    assert 0.2 < used.cores * reading.window < 1
    assert used.memory > 2 * 2**20
    assert reading.containers["uid", "other"].cores < used.cores
    assert reading.nodes["here"].memory > used.memory


def test_what_began_between_two_samples_counts_from_its_beginning():
    before = meter.Sample(10.0, 0.0, {}, {})
    after = meter.Sample(12.0, 3.0, {("uid", "main"): {(7, 99): 100}}, {("uid", "main"): 4096})
    reading = meter._between(before, after, "here")
    assert reading.containers["uid", "main"].cores == 100 / meter._TICKS / 2
    assert reading.nodes["here"].cores == 1.5
