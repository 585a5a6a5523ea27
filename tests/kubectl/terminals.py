"""A program on a terminal, as a person uses it: keys are pressed, the screen is read, the window is resized."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time

from meshlab.cluster.embedded.node import controlling_terminal

LINES, COLUMNS = 33, 101


class Terminal:
    """A program whose standard streams are a terminal of 33 lines and 101 columns."""

    def __init__(self, command: list[str]) -> None:
        self._screen, slave = os.openpty()
        self.resize(LINES, COLUMNS)
        launcher = [sys.executable, "-I", "-S", controlling_terminal.__file__]
        self.process = subprocess.Popen(
            [*launcher, *command], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self._unread = ""

    def press(self, keys: str) -> None:
        """Type; end a line with a newline."""
        os.write(self._screen, keys.encode())

    def shows(self, pattern: str, seconds: float = 60) -> str:
        """Wait until the screen shows something new that matches; what it was."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self._unread)):
            assert time.monotonic() < deadline, f"no {pattern!r} on the screen, but {self._unread!r}"
            assert self._look(), f"ended without {pattern!r}: {self._unread!r}"
        self._unread = self._unread[found.end() :]
        return found[0]

    def resize(self, lines: int, columns: int) -> None:
        """The kernel tells the program."""
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def exit_code(self, seconds: float = 60) -> int:
        """The program's exit code, when it has ended; until then its screen is read."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and self._look():
            assert time.monotonic() < deadline, f"still there; its screen shows {self._unread!r}"
        return self.process.wait(seconds)

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        if self._screen >= 0:
            os.close(self._screen)
            self._screen = -1

    def _look(self) -> bool:
        """Take what came to the screen. False when nothing will come any more."""
        if select.select([self._screen], [], [], 0.2)[0]:
            try:
                self._unread += os.read(self._screen, 65536).decode(errors="replace")
            except OSError:
                return False
        return True
