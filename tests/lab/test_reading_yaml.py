import pytest

from meshlab.errors import LabError
from meshlab.kube import Ref
from meshlab.lab.apply import Answer, Applied, Receipt, read

TEXT = "apiVersion: v1\nkind: Namespace\nmetadata: {name: NAME}\n"


def names(objects) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects]


def test_text_a_file_and_a_folder_are_read(tmp_path) -> None:
    (tmp_path / "2.yaml").write_text(TEXT.replace("NAME", "second"))
    (tmp_path / "1.yaml").write_text(TEXT.replace("NAME", "first"))
    assert names(read(TEXT.replace("NAME", "here"))) == ["here"]
    assert names(read(str(tmp_path / "1.yaml"))) == ["first"]
    assert names(read(tmp_path)) == ["first", "second"]


def test_a_missing_file_is_an_error_that_names_it() -> None:
    with pytest.raises(LabError, match=r"ML502 nothing-here\.yaml: there is no such file"):
        read("nothing-here.yaml")


def applied(*answers: Answer) -> Applied:
    return Applied(Ref("TrafficSplit", "b", "b"), "configured", "7", answers)


def test_a_receipt_tells_who_took_it_and_when() -> None:
    receipt = Receipt((applied(Answer("a/one", True, 3.2), Answer("a/two", True, 8.7)),))
    assert receipt.ok
    assert "acknowledged by 2 of 2 proxies within 9 ms" in str(receipt)
    assert "✓ a/one after 3 ms" in str(receipt)


def test_a_receipt_tells_who_refused_and_who_is_silent() -> None:
    receipt = Receipt((applied(Answer("a/one", False, 3.0, "no <such> field"), Answer("a/two", False, None)),))
    assert not receipt.ok
    assert "✗ a/one refused: no <such> field" in str(receipt)
    assert "… a/two is silent" in str(receipt)
    assert "no &lt;such&gt; field" in receipt._repr_html_()
