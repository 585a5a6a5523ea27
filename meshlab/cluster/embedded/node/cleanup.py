"""What did an earlier daemon leave behind when it was killed?"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from meshlab.cluster.embedded.node import marks
from meshlab.cluster.embedded.node.marks import Record

log = logging.getLogger(__name__)


def end_leftovers(folder: Path) -> int:
    """Kill every process of this node's pods; how many there were. Returns when none is left."""
    records = {path: Record.read(path.name) for path in folder.glob("*/sessions/*")}
    total = marks.end_sealed(str(folder)) + sum(map(marks.end_session, records.values()))
    for path in records:
        path.unlink(missing_ok=True)
    if total:
        log.info("ended %d processes of an earlier daemon", total)
    return total


def forget_pods(folder: Path, known: set[str]) -> None:
    """Remove the folders of pods that the cluster no longer has."""
    for entry in folder.iterdir():
        if entry.name not in known:
            shutil.rmtree(entry, ignore_errors=True)
