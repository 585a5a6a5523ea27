"""Make standard input this session's controlling terminal, so that Ctrl-C on it is a signal; then be the command.

Run as `python -I -S controlling_terminal.py COMMAND ...` by a session's leader. Only a process itself can do this,
between its start and the command's: in the daemon, which has threads, no code may run there.
"""

import fcntl
import os
import sys
import termios

if __name__ == "__main__":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    try:
        os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # there is no shell to be had
    except OSError as error:
        sys.exit(f'exec: "{sys.argv[1]}": {error.strerror}')
