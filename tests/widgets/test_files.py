import re

import pytest

from meshlab.widgets import CertificatesWidget, Dashboard, SplitWidget

WIDGETS = [CertificatesWidget, Dashboard, SplitWidget]


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widget_fetches_nothing_from_anywhere(widget) -> None:
    code = re.sub(r"^\s*//.*$", "", widget._esm + widget._css, flags=re.MULTILINE)
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w{2,}[^\s\"']*", code)
    assert [address for address in addresses if "www.w3.org" not in address] == []
    assert not re.search(r"^\s*import\b", widget._esm, flags=re.MULTILINE)


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widget_takes_its_colours_from_the_theme(widget) -> None:
    assert "var(--jp-ui-font-color1" in widget._css
    assert "data-jp-theme-light" in widget._css
