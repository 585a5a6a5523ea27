"""What brings the cluster from what is to what was asked for: one controller per question, all clients of the API."""

from __future__ import annotations

import asyncio

from meshlab.cluster.embedded.controllers.deployment import DeploymentController
from meshlab.cluster.embedded.controllers.endpoint_slices import EndpointSliceController
from meshlab.cluster.embedded.controllers.endpoints import EndpointsController
from meshlab.cluster.embedded.controllers.replicaset import ReplicaSetController
from meshlab.cluster.embedded.controllers.scheduler import Scheduler
from meshlab.cluster.embedded.controllers.service_account import ServiceAccountController
from meshlab.cluster.embedded.informers import Informers
from meshlab.kube import Kube

__all__ = ["run_controllers"]

_CONTROLLERS = (
    ServiceAccountController,
    DeploymentController,
    ReplicaSetController,
    Scheduler,
    EndpointSliceController,
    EndpointsController,
)


async def run_controllers(kube: Kube) -> None:
    """Run every controller until cancelled. None acts before it has seen all objects once."""
    informers = Informers(kube)
    controllers = [make(kube, informers) for make in _CONTROLLERS]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(informers.run())
        await informers.synced()
        for controller in controllers:
            tasks.create_task(controller.run())
