"""A real JupyterLab of its own, and a Chromium page that drives it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Locator, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CONFIG = Path(__file__).parents[2] / "notebooks" / ".jupyter"
"""What `make lab` opens JupyterLab with: no news, no look for updates, the theme of the desktop."""

NOTEBOOK = ".jp-NotebookPanel:not(.lm-mod-hidden)"
_ENDED = """() => {
  const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(prompt => prompt.textContent);
  const failed = document.querySelector('[data-mime-type="application/vnd.jupyter.error"]');
  return failed ? !prompts.some(prompt => prompt.includes('*')) : prompts.every(prompt => /\\[\\d+\\]/.test(prompt));
}"""
_NOT_RUN = """() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].some(
  prompt => !/\\[\\d+\\]/.test(prompt.textContent))"""


class JupyterLab:
    """One server, with every folder of its own below `home`."""

    def __init__(self, home: Path, notebooks: Path, env: dict[str, str]) -> None:
        self.token = secrets.token_hex(16)
        self.port = _free_port()
        own = {
            "JUPYTER_CONFIG_PATH": CONFIG,
            "JUPYTER_CONFIG_DIR": home / "config",
            "JUPYTER_DATA_DIR": home / "data",
            "JUPYTER_RUNTIME_DIR": home / "runtime",
            "JUPYTERLAB_SETTINGS_DIR": home / "settings",
            "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
            "IPYTHONDIR": home / "ipython",
        }
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={self.port}"),
            *("--ip=127.0.0.1", f"--ServerApp.root_dir={notebooks}", f"--IdentityProvider.token={self.token}"),
            "--ServerApp.port_retries=0",
        ]
        self._log = (home / "jupyter.log").open("wb")
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **{name: str(path) for name, path in own.items()}, **env},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait_until_it_answers(home / "jupyter.log")

    def url(self, notebook: str) -> str:
        return f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?token={self.token}&reset"

    def kernel(self) -> psutil.Process:
        """The one kernel's process."""
        children = psutil.Process(self._process.pid).children()
        return next(child for child in children if "ipykernel_launcher" in " ".join(child.cmdline()))

    def end_kernels(self) -> None:
        """End what a page left running, so that the next test begins with none."""
        for kernel in self._api("GET", "kernels"):
            self._api("DELETE", f"kernels/{kernel['id']}")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()

    def _api(self, method: str, path: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/{path}?token={self.token}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as response:
            return json.loads(response.read() or "null")

    def _wait_until_it_answers(self, log: Path) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self._api("GET", "status")
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(log.read_text()[-3000:])


class LabPage:
    """A JupyterLab page: what a person would do, and what the page then holds."""

    def __init__(self, page: Page, lab: JupyterLab) -> None:
        self.page = page
        self.lab = lab
        self.outside: list[str] = []
        self.console_errors: list[str] = []
        page.on("request", lambda request: self._note(request.url))
        page.on("websocket", lambda socket: self._note(socket.url))
        page.on("console", lambda message: message.type == "error" and self.console_errors.append(message.text))
        page.on("pageerror", lambda error: self.console_errors.append(str(error)))

    def open(self, notebook: str) -> None:
        self.page.goto(self.lab.url(notebook))
        self.page.wait_for_selector(f"{NOTEBOOK} .jp-Cell", timeout=90_000)
        self._wait_idle(60)

    def run_all(self, timeout: float = 240) -> None:
        """Run every cell, until each has its number and the kernel is idle."""
        self.page.click('.lm-MenuBar-item:has-text("Run")')
        self.page.click('[data-command="runmenu:run-all"]')
        self.page.wait_for_function(_ENDED, timeout=timeout * 1000)
        self._wait_idle(timeout)
        assert not self.page.evaluate(_NOT_RUN), f"a cell failed:\n{self.output_text()}"

    def output_text(self) -> str:
        """The text of every output, whether in sight or not."""
        return self.page.eval_on_selector(
            NOTEBOOK, "n => [...n.querySelectorAll('.jp-OutputArea')].map(o => o.textContent).join('\\n')"
        )

    def widget(self, name: str) -> Locator:
        """The last shown widget of a kind: split, dashboard, certificates, progress."""
        return self.page.locator(f"{NOTEBOOK} .lm-{name}").last

    def screenshot(self, path: Path, of: Locator | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        (of or self.page).screenshot(path=path)

    def newest(self, panel: str) -> dict[str, float]:
        """Line → its newest value, in one of the last dashboard's panels, as plotly holds it.

        A dashboard out of sight doesn't draw, so it is scrolled to.
        """
        dashboard = self.widget("dashboard")
        dashboard.scroll_into_view_if_needed()
        traces = dashboard.evaluate(
            "d => (d.querySelector('.js-plotly-plot')?.data ?? []).map(t => [t.xaxis, t.name, t.y.at(-1)])"
        )
        axis = {"versions": "x", "edges": "x2", "success": "x3", "latency": "x4"}[panel]
        return {name: value for where, name, value in traces if where == axis}

    def until(self, condition: Callable[[], Any], seconds: float = 30) -> None:
        """Wait, while the page goes on, until something holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            self.page.wait_for_timeout(100)

    def _wait_idle(self, seconds: float) -> None:
        self.page.wait_for_function(
            "() => /\\| Idle/.test(document.querySelector('#jp-bottom-panel, #jp-main-statusbar')?.textContent ?? '')"
            " && !document.querySelector('.jp-Dialog')",
            timeout=seconds * 1000,
        )

    def _note(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname not in {"127.0.0.1", "localhost"}:
            self.outside.append(url)


@contextmanager
def open_browser(lab: JupyterLab, chromium: str, scheme: str, size: tuple[int, int]) -> Iterator[LabPage]:
    """A fresh browser on a JupyterLab, in the light or the dark theme."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            viewport = {"width": size[0], "height": size[1]}
            yield LabPage(browser.new_context(color_scheme=scheme, viewport=viewport).new_page(), lab)
        finally:
            browser.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
