import re
from pathlib import Path

import pytest

import meshlab
from meshlab.cli.main import main
from meshlab.errors import codes

SOURCE = Path(meshlab.__file__).parent


def test_the_codes_in_the_source_are_the_codes_in_the_table() -> None:
    used = {code for file in SOURCE.rglob("*.py") for code in re.findall(r"\bML\d{3}\b", file.read_text())}
    assert used == set(codes())


def test_the_table_is_in_numeric_order_and_complete() -> None:
    assert list(codes()) == sorted(codes())
    for row in codes().values():
        assert row.title
        assert row.why.endswith((".", "?")), row.code
        assert row.cure, row.code


def test_a_code_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["errors", "ml113"]) == 0
    shown = capsys.readouterr().out
    assert "ML113  The lab is not running" in shown
    assert "Cure: `meshlab up`" in shown


def test_without_a_code_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["errors"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(codes())


def test_an_unknown_code_is_an_error_with_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["errors", "ML999"]) == 1
    assert capsys.readouterr().err.startswith("ML102 ML999: there is no such code")
