"""How are calls shared? A slider for each backend, the YAML that says the same, and what the proxies made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import traitlets

from meshlab.widgets.base import LabWidget, script, style

OnMove = Callable[[dict[str, int]], None]


class SplitWidget(LabWidget):
    """Sliders that share the calls to one Service among its backends.

    `service` is the Service that clients call, ``namespace/name``. `on_move` is called with the new weights
    whenever a slider moves; it must not block. `show` puts in what the cluster says.
    """

    _esm = script("split")
    _css = style("split")

    service = traitlets.Unicode().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    """What is shown, in one piece so that no half of it is: exists, backends, yaml, command, receipt, details,
    error, and `turn`, which grows with each `show`."""

    def __init__(self, service: str, on_move: OnMove) -> None:
        self._on_move = on_move
        state = {"exists": False, "backends": [], "yaml": "", "command": "", "receipt": "", "details": "", "error": ""}
        super().__init__(service=service, state={**state, "turn": 0})
        self.on_msg(self._heard)

    def show(self, **changes: Any) -> None:
        """Put in what changed; the rest stays. Also when nothing did: a refused slider goes back."""
        self.state = {**self.state, **changes, "turn": self.state["turn"] + 1}

    @property
    def weights(self) -> dict[str, int]:
        """Backend → weight, as the cluster has it."""
        return {row["service"]: row["weight"] for row in self.state["backends"]}

    def text(self) -> str:
        """The shares, and the YAML."""
        total = sum(self.weights.values()) or 1
        shares = ", ".join(f"{service} {weight / total:.0%}" for service, weight in self.weights.items())
        about = "as the TrafficSplit says" if self.state["exists"] else "no TrafficSplit yet"
        return f"Calls to {self.service}: {shares or 'not read yet'} ({about})\n{self.state['yaml']}"

    def _heard(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        if content.get("type") == "move":
            known = self.weights
            self._on_move({str(k): int(v) for k, v in content["weights"].items() if k in known and int(v) >= 0})
