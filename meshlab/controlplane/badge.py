"""How do the Services find the leader? It wears a label that their selectors ask for, and takes it off all others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from meshlab.controlplane.serving import NAMESPACE, SERVICE
from meshlab.errors import ClusterError
from meshlab.kube import Kube, Object, labels_of
from meshlab.kube.objects import POD

log = logging.getLogger(__name__)

LABEL = "meshlab.dev/leader"

_CHECK_SECONDS, _RETRY_SECONDS = 2.0, 0.2


def replicas(pods: Mapping[tuple[str, str], Object]) -> Iterable[Object]:
    """The pods of the control plane, of all pods."""
    return [pod for (where, _), pod in pods.items() if where == NAMESPACE and labels_of(pod).get("app") == SERVICE]


class Badge:
    """The leader's label. `me` is the name of this very pod."""

    def __init__(self, kube: Kube, me: str, pods: Mapping[tuple[str, str], Object]) -> None:
        self._kube = kube
        self._me = me
        self._pods = pods

    async def wear(self) -> None:
        """Keep it on this pod alone; until cancelled."""
        while True:
            try:
                for pod in sorted(replicas(self._pods), key=lambda pod: str(pod["metadata"]["name"]) != self._me):
                    await self._set(pod["metadata"]["name"], worn=LABEL in labels_of(pod))
            except ClusterError as error:
                log.warning("the leader's label is not in place yet: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                await asyncio.sleep(_CHECK_SECONDS)

    async def _set(self, name: str, *, worn: bool) -> None:
        if worn != (name == self._me):
            label = "true" if name == self._me else None
            await self._kube.patch(POD, name, {"metadata": {"labels": {LABEL: label}}}, NAMESPACE)
