import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshlab.cli.main import main
from meshlab.lab import preflight


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHLAB_HOME", str(tmp_path))


@pytest.fixture
def taken_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """One that no other test's lab asks about."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setattr(preflight, "PORTS", (*preflight.PORTS, port))
        yield port


def test_this_machine_can_run_a_lab(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    shown = capsys.readouterr().out
    assert "✓ Envoy 1.40 is installed: 1.40." in shown
    assert "✗" not in shown


def test_a_port_taken_on_all_addresses_is_named_with_its_holder_and_the_cure(
    taken_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 1
    shown = capsys.readouterr().out
    assert f"✗ the mesh's ports are free: port {taken_port} is taken on all addresses by " in shown
    assert (
        f"[ML126]\n    end that program, or let it listen on 127.0.0.1 only: ss -ltnp 'sport = :{taken_port}'" in shown
    )


def test_what_is_only_good_to_have_does_not_fail_the_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_MEMORY_BYTES", 1 << 60)
    assert main(["check"]) == 0
    assert "! there is memory for six pods with sidecars" in capsys.readouterr().out
