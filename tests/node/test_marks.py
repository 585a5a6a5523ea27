"""Which processes are ours: no other is ever ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from meshlab.cluster.embedded.node import marks
from meshlab.cluster.embedded.node.marks import Record, Seal


@pytest.fixture
def start():
    started = []

    def run(script, **variables):
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, **variables},
            start_new_session=True,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        process.stdout.readline()
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


SLEEP = "import time; print(flush=True); time.sleep(60)"
FORK_AWAY = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"], start_new_session=True)
time.sleep(60)
"""


def test_what_carries_the_marks_is_ended_and_what_does_not_is_not(start, tmp_path):
    node = str(tmp_path)
    mine = start(SLEEP, **Seal(node, "a").variables)
    sibling = start(SLEEP, **Seal(node, "b").variables)
    stranger = start(SLEEP)
    other_node = start(SLEEP, **Seal(node + "x", "a").variables)
    assert marks.end_sealed(node, "a") == 1
    assert mine.wait(5) == -9
    assert [process.poll() for process in (sibling, stranger, other_node)] == [None] * 3
    assert marks.end_sealed(node) == 1
    assert sibling.wait(5) == -9
    assert [process.poll() for process in (stranger, other_node)] == [None] * 2


def test_a_child_that_made_a_session_of_its_own_is_found_too(start, tmp_path):
    parent = start(FORK_AWAY, **Seal(str(tmp_path), "a").variables)
    assert marks.end_sealed(str(tmp_path), "a") == 2
    parent.wait(5)


def test_a_record_is_of_one_process_and_not_of_the_next_with_its_id(start):
    process = start(SLEEP)
    record = Record.of(process.pid)
    assert record.is_alive()
    assert not Record(process.pid, record.started - 1).is_alive()
    process.kill()
    process.wait()
    assert not record.is_alive()


def test_the_session_of_a_recorded_leader_is_ended_whatever_became_of_its_environment(start):
    leader = start("import os, sys, time; os.fork(); print(flush=True); time.sleep(60)", MESHLAB_NODE="")
    record = Record.read(str(Record.of(leader.pid)))
    assert marks.end_session(Record(record.pid, record.started - 1)) == 0
    assert marks.end_session(record) == 2
    assert leader.wait(5) == -9
    assert marks.end_session(record) == 0


def test_looking_through_all_processes_is_quick(tmp_path):
    began = time.process_time()
    assert marks.end_sealed(str(tmp_path)) == 0
    assert time.process_time() - began < 0.5
