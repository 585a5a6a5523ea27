"""The pictures of the README: `make screenshots` takes them anew into docs/screenshots."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots_of_every_widget(screenshots, browse, demo, scheme) -> None:
    with browse("02-shifting-traffic.ipynb", scheme, (1360, 1000)) as page:
        page.run_all()
        page.until(lambda: page.newest("latency").get("p99") is not None)
        slider = page.widget("split").locator("input[data-backend=bookstore-v2]")
        slider.focus()
        for _ in range(3):
            page.page.keyboard.press("PageUp")
        page.until(lambda: "acknowledged by" in page.widget("split").inner_text())
        page.page.wait_for_timeout(12_000)
        for name in ("split", "dashboard"):
            page.widget(name).scroll_into_view_if_needed()
            page.screenshot(screenshots / f"{name}-{scheme}.png", page.widget(name))
        page.screenshot(screenshots / f"notebook-{scheme}.png")
    demo.kubectl("delete", "trafficsplit", "--all", "-n", "bookstore")
    with browse("01-two-services.ipynb", scheme, (1360, 1000)) as page:
        page.run_all()
        page.screenshot(screenshots / f"certificates-{scheme}.png", page.widget("certificates"))
    assert len(list(screenshots.glob(f"*-{scheme}.png"))) >= 4
