"""A person at the notebook: runs it, moves the sliders by mouse and by keyboard, and sees the traffic follow."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(600)]
NOTEBOOK = "02-shifting-traffic.ipynb"


def weights(demo) -> dict[str, int]:
    found = json.loads(demo.kubectl("get", "trafficsplits", "-n", "bookstore", "-o", "json"))["items"]
    return {row["service"]: row["weight"] for row in found[0]["spec"]["backends"]} if found else {}


def share(page, version: str) -> float:
    """Of the answers that the plot shows, how many a version gave."""
    answered = {name: value for name, value in page.newest("versions").items() if name.startswith("bookstore-")}
    return answered.get(version, 0) / (sum(answered.values()) or 1)


def test_the_sliders_move_real_traffic_and_the_plot_follows(browse, demo) -> None:
    with browse(NOTEBOOK) as page:
        page.run_all()
        said = page.output_text()
        assert "✓ 02-3" in said
        assert "✗" not in said
        try:
            sliders_move_traffic(page, demo)
            an_edit_made_by_kubectl_moves_the_sliders(page, demo)
        finally:
            demo.kubectl("delete", "trafficsplit", "--all", "-n", "bookstore")


def sliders_move_traffic(page, demo) -> None:
    sliders = page.widget("split")
    v1, v2 = (sliders.locator(f"input[data-backend={name}]") for name in ("bookstore-v1", "bookstore-v2"))
    page.until(lambda: v2.input_value() == "50")

    v2.scroll_into_view_if_needed()
    box = v2.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] + 20, middle, steps=25)
    page.page.mouse.up()
    page.until(lambda: weights(demo) == {"bookstore-v1": 0, "bookstore-v2": 100})
    page.until(lambda: share(page, "bookstore-v2") == 1)
    assert "acknowledged by" in sliders.inner_text()
    assert "weight: 100" in sliders.inner_text()

    v1.focus()
    page.page.keyboard.press("End")
    page.until(lambda: weights(demo) == {"bookstore-v1": 100, "bookstore-v2": 0})
    page.page.keyboard.press("PageDown")
    page.page.keyboard.press("ArrowLeft")
    page.until(lambda: weights(demo) == {"bookstore-v1": 89, "bookstore-v2": 11})
    page.until(lambda: 0 < share(page, "bookstore-v2") < 0.4)
    assert min(page.newest("success").values()) == 100

    cells = page.page.locator(".jp-Cell").count()
    page.page.keyboard.press("d")
    page.page.keyboard.press("d")
    assert page.page.locator(".jp-Cell").count() == cells, "a slider with the focus keeps JupyterLab's shortcuts out"


def an_edit_made_by_kubectl_moves_the_sliders(page, demo) -> None:
    v2 = page.widget("split").locator("input[data-backend=bookstore-v2]")
    demo.kubectl("apply", "-f", "-", stdin=SPLIT)
    page.until(lambda: v2.input_value() == "25")
    assert v2.get_attribute("aria-valuetext") == "25 percent of the calls"


SPLIT = """
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: bookstore, namespace: bookstore}
spec:
  service: bookstore
  backends:
  - {service: bookstore-v1, weight: 3}
  - {service: bookstore-v2, weight: 1}
"""
