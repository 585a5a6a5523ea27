"""Run the control plane in its pod: ``python -m meshlab.controlplane``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from meshlab.controlplane.plane import ControlPlane
from meshlab.controlplane.serving import bind_address
from meshlab.dataplane.installed import data_plane
from meshlab.kube import Kube


async def main() -> None:
    """Until SIGTERM."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    plane = data_plane(os.environ["MESHLAB_DATA_PLANE"])
    async with Kube.in_cluster() as kube:
        try:
            await ControlPlane(kube, plane, os.environ["POD_NAME"], bind_address()).run()
        except asyncio.CancelledError:
            logging.getLogger("meshlab").info("ending")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(main())
