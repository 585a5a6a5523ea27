"""kubectl attach and kubectl run -i: at the streams of a container that runs."""

from __future__ import annotations

import pytest

from .terminals import COLUMNS, LINES

pytestmark = pytest.mark.kubectl


def test_a_shell_on_a_terminal_is_taken_up_where_it_is(terminal, pod):
    first = terminal("attach", "-it", pod, "-c", "screen")
    first.press("\nkept=here; until stty size | grep -v '^0 0'; do sleep 0.1; done\n")  # the size comes in its own time
    first.shows(f"{LINES} {COLUMNS}")
    first.close()
    second = terminal("attach", "-it", pod, "-c", "screen")
    second.press("\necho still $kept\n")
    second.shows("still here")


def test_two_who_attach_see_the_same(terminal, pod):
    one, other = (terminal("attach", "-it", pod, "-c", "screen") for _ in range(2))
    for each in (one, other):
        each.press("\n")
        each.shows(r"[#$] ")
    for each, word in ((one, "first"), (other, "second")):
        each.press(f"\necho fr''om-{word}\n")
        one.shows(f"from-{word}")
        other.shows(f"from-{word}")


def test_a_container_reads_what_is_written_to_it_and_logs_what_it_says(terminal, kubectl, pod):
    writer = terminal("attach", "-i", pod, "-c", "reader")
    writer.press("a word\n")
    writer.shows("got a word")
    assert "got a word\n" in kubectl("logs", pod, "-c", "reader")


def test_run_with_input_feeds_a_pod_until_the_input_ends(kubectl):
    script = 'while read line; do echo "got $line"; done; echo all'
    done = kubectl.run(
        *("run", "fed", "-i", "--rm", "--restart=Never", f"--image={kubectl.image}", "--command", "--"),
        *("sh", "-c", script),
        stdin=b"one\ntwo\n",
    )
    assert b"got one\ngot two\nall\n" in done.stdout, done
    assert b'pod "fed" deleted' in done.stdout


def test_run_on_a_terminal_gives_a_shell_and_its_exit_code(terminal, kubectl):
    shell = terminal(
        *("run", "visited", "-it", "--rm", "--restart=Never", f"--image={kubectl.image}", "--command", "--", "sh"),
    )
    shell.shows(r"try pressing enter|[#$] ")
    shell.press("\necho answers $((40 + 2))\n")
    shell.shows("answers 42")
    shell.press("exit 4\n")
    shell.shows('pod "visited" deleted')
    assert shell.exit_code() == 4
