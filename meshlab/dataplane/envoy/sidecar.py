"""What runs beside the app? An agent that proves which pod it is, starts Envoy, and ends with it.

The agent makes a key, has it signed for the pod's service-account token, and hands both to Envoy in files
that only it may read. It renews them well before they expire. On SIGTERM it lets clients go elsewhere and
calls in flight finish before Envoy ends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.admin import Admin
from meshlab.dataplane.envoy.bootstrap import Controller, Node, bootstrap, known_roots, secret_files
from meshlab.dataplane.envoy.inject import FOLDER, TOKEN_FOLDER
from meshlab.dataplane.envoy.probes import Probe, from_json
from meshlab.dataplane.envoy.process import start_envoy, write_private
from meshlab.dataplane.envoy.signing import SigningService
from meshlab.dataplane.envoy.tcp_probe import serve_tcp_probes
from meshlab.errors import MeshlabError
from meshlab.identity.issuer import new_request
from meshlab.identity.svid import Svid
from meshlab.mesh.identity import Identity, node_name

log = logging.getLogger("meshlab.sidecar")

_FIRST_RETRY, _LAST_RETRY = 0.2, 10.0
_LOOK_AT_CLOCK_SECONDS = 20.0
_LOOK_SECONDS, _LOOKS = 0.1, 150
"""How often to look whether calls in flight have finished. A pod has 30 seconds by default."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the injector wrote into the container's environment."""

    node: Node
    controller: Controller
    signing: SigningService
    spiffe_id: str
    roots: str
    probes: tuple[Probe, ...]
    log_level: str
    quiet_seconds: float
    """After SIGTERM calls are still taken this long, where the app lives on beside the sidecar: the clients'
    proxies have yet to hear that the pod goes.
    """
    folder: Path
    token: Path

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Self:
        """Read the environment; a missing variable is a KeyError that names it."""
        pod, namespace, address = variables["POD_NAME"], variables["POD_NAMESPACE"], variables["MESHLAB_CONTROLLER"]
        root = Path(variables.get("MESHLAB_CONTAINER_ROOT", "/"))
        mark = int(variables["MESHLAB_PROXY_MARK"])
        account, controller = variables["SERVICE_ACCOUNT"], variables["MESHLAB_CONTROLLER_ID"]
        trust_domain = controller.removeprefix("spiffe://").partition("/")[0]
        return cls(
            node=Node(
                id=f"{pod}.{namespace}",
                identity=f"{namespace}/{account}",
                address=variables["POD_IP"],
                explicit=variables["MESHLAB_INTERCEPTION"] == "explicit",
                mark=mark,
            ),
            controller=Controller(address, names.XDS_PORT, controller),
            signing=SigningService(address, variables["MESHLAB_CONTROLLER_NAME"], mark=mark),
            spiffe_id=Identity(namespace, account).spiffe_id(trust_domain),
            roots=variables["MESHLAB_CA_BUNDLE"],
            probes=tuple(from_json(variables["MESHLAB_PROBES"])),
            log_level=variables["MESHLAB_LOG_LEVEL"],
            quiet_seconds=float(variables["MESHLAB_QUIET_SECONDS"]),
            folder=root / FOLDER.lstrip("/"),
            token=root / TOKEN_FOLDER.lstrip("/") / "token",
        )


class Agent:
    """One sidecar: `run` until Envoy ends, of itself or because the pod is asked to."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        left = {file.name: file.read_text() for file in settings.folder.glob("*.json")}
        self._roots = known_roots(left) or settings.roots
        """Those the pod was born with, until there are others: a root may have been replaced since."""
        self._trust = ""
        """The word for the trust that it has."""
        self._admin = Admin(settings.folder)

    async def run(self) -> int:
        """Get a certificate, start Envoy, keep the one fresh while the other lives; the exit code."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        obtaining = asyncio.create_task(self._obtain())
        loop.add_signal_handler(signal.SIGTERM, obtaining.cancel)
        svid = await obtaining
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        config = bootstrap(settings.node, settings.controller, str(settings.folder), settings.probes)
        envoy = await start_envoy(settings.folder, config, settings.log_level)
        log.info("envoy runs for %s, certificate %s until %s", settings.node.id, svid.serial, svid.expires)
        here, app = (settings.node.address,) * 2 if settings.node.explicit else ("0.0.0.0", "127.0.0.1")  # noqa: S104
        probes = await serve_tcp_probes(here, app)
        helpers = [asyncio.create_task(self._renew(svid)), asyncio.create_task(self._drain(stop, envoy))]
        code = await envoy.wait()
        for helper in helpers:
            helper.cancel()
        probes.close()
        return 0 if stop.is_set() else code or 1

    async def _obtain(self, *, has: str = "") -> Svid:
        """A signed certificate, however long it takes, in Envoy's files. `has`: when another trust holds."""
        wait = _FIRST_RETRY
        while True:
            try:
                return await self._sign(has)
            except (MeshlabError, OSError) as error:
                log.warning("no certificate yet: %s", error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LAST_RETRY)

    async def _sign(self, has: str) -> Svid:
        settings = self._settings
        key, request = new_request(settings.spiffe_id, [node_name(settings.node.id)])
        signed = await settings.signing.sign(request, settings.token.read_text().strip(), self._roots, has=has)
        self._roots, self._trust = signed.grant.bundle, signed.trust
        for name, content in secret_files(signed.grant.chain, key.decode(), signed.grant.bundle).items():
            write_private(settings.folder / name, json.dumps(content))
        return Svid(signed.grant.chain.encode(), key)

    async def _renew(self, svid: Svid) -> None:
        """Get another certificate well before the end of this one, and whenever the mesh trusts other roots."""
        while True:
            hearing = asyncio.create_task(self._obtain(has=self._trust))
            while not hearing.done() and not svid.is_due():
                # Time that a laptop sleeps does not pass here: the clock is looked at now and then.
                left = (svid.renew_at - datetime.now(UTC)).total_seconds()
                await asyncio.wait([hearing], timeout=min(max(left, 1.0), _LOOK_AT_CLOCK_SECONDS))
            if not hearing.done():
                hearing.cancel()
                hearing = asyncio.create_task(self._obtain())
            svid = await hearing
            log.info("certificate %s until %s", svid.serial, svid.expires)

    async def _drain(self, stop: asyncio.Event, envoy: asyncio.subprocess.Process) -> None:
        """When asked to stop: turn clients away, let calls in flight finish, then end Envoy."""
        await stop.wait()
        with suppress(OSError):
            await asyncio.to_thread(self._admin.post, "/healthcheck/fail")
            await asyncio.sleep(self._settings.quiet_seconds)
            for _ in range(_LOOKS):
                if not await asyncio.to_thread(self._admin.active_requests):
                    break
                await asyncio.sleep(_LOOK_SECONDS)
        envoy.terminate()


def main() -> None:
    """Run the sidecar of the pod that the environment describes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    with suppress(asyncio.CancelledError):
        sys.exit(asyncio.run(Agent(Settings.of(os.environ)).run()))


if __name__ == "__main__":
    main()
