import json
from pathlib import Path

import pytest

from meshlab.cli import main as cli
from meshlab.cli.main import main


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHLAB_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("typed", "meant"), [(["statsu"], "status"), (["up", "--nmae", "x"], "--name"), (["down", "--pruge"], "--purge")]
)
def test_a_typing_error_is_answered_with_what_was_meant(
    typed: list[str], meant: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["meshlab", *typed])
    with pytest.raises(SystemExit) as end:
        main(typed)
    assert end.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith("ML101 ")
    assert f"did you mean {meant}?" in shown


def test_the_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for verb in ("up", "status", "kubeconfig", "down", "check", "errors"):
        assert any(line.split()[:1] == [verb] for line in shown.splitlines()), verb


def test_an_error_is_code_what_and_hint_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kubeconfig", "--name", "nobody"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "ML113 lab nobody: it is not running",
        "Hint: meshlab up --name nobody",
        "More: meshlab errors ML113",
    ]


def test_a_name_that_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--name", "My Lab"]) == 1
    assert "ML110" in capsys.readouterr().err


def test_the_status_of_a_lab_that_does_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "-o", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["pid"], found["kubeconfig"], found["healthy"]) == (None, None, False)
    assert main(["status"]) == 1
    assert "✗ not running" in capsys.readouterr().out


def test_stopping_what_does_not_run_is_no_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["down"]) == 0
    assert main(["down", "--purge"]) == 0
    assert list(tmp_path.iterdir()) == [], "asking leaves nothing behind"


def test_an_interrupt_is_answered_in_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.status, "run", interrupted)
    assert main(["status"]) == 130
    assert "Interrupted." in capsys.readouterr().err
