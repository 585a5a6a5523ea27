"""What brings the cluster from what is to what was asked for: one controller per question, all clients of the API."""

from __future__ import annotations

import asyncio
from typing import Protocol

from meshlab.cluster.embedded.controllers.cron_job import CronJobController
from meshlab.cluster.embedded.controllers.daemon_set import DaemonSetController
from meshlab.cluster.embedded.controllers.deployment import DeploymentController
from meshlab.cluster.embedded.controllers.endpoint_slices import EndpointSliceController
from meshlab.cluster.embedded.controllers.endpoints import EndpointsController
from meshlab.cluster.embedded.controllers.event_expiry import EventExpiry
from meshlab.cluster.embedded.controllers.garbage_collector import GarbageCollector
from meshlab.cluster.embedded.controllers.job import JobController
from meshlab.cluster.embedded.controllers.namespace import NamespaceController
from meshlab.cluster.embedded.controllers.pod_gc import PodGarbageCollector
from meshlab.cluster.embedded.controllers.replicaset import ReplicaSetController
from meshlab.cluster.embedded.controllers.scheduler import Scheduler
from meshlab.cluster.embedded.controllers.served_kinds import ServedKinds
from meshlab.cluster.embedded.controllers.service_account import ServiceAccountController
from meshlab.cluster.embedded.controllers.stateful_set import StatefulSetController
from meshlab.cluster.embedded.informers import Informers
from meshlab.kube import Kube

__all__ = ["run_controllers"]


class Controller(Protocol):
    """Answers one question about the cluster, again and again."""

    async def run(self) -> None:
        """Work until cancelled."""


async def run_controllers(kube: Kube) -> None:
    """Run every controller until cancelled. None acts before it has seen all objects once."""
    informers = Informers(kube)
    served = ServedKinds(kube, informers)
    controllers: list[Controller] = [
        ServiceAccountController(kube, informers),
        NamespaceController(kube, informers, served),
        DeploymentController(kube, informers),
        ReplicaSetController(kube, informers),
        StatefulSetController(kube, informers),
        DaemonSetController(kube, informers),
        JobController(kube, informers),
        CronJobController(kube, informers),
        Scheduler(kube, informers),
        EndpointSliceController(kube, informers),
        EndpointsController(kube, informers),
        GarbageCollector(kube, served),
        PodGarbageCollector(kube, informers),
        EventExpiry(kube),
    ]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(informers.run())
        await informers.synced()
        tasks.create_task(served.run())
        for controller in controllers:
            tasks.create_task(controller.run())
