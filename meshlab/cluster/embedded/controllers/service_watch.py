"""Which Services must hear of a change to a pod?"""

from __future__ import annotations

from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.informers import Informer, Key, key_of
from meshlab.kube import Change, matches_labels
from meshlab.kube.objects import labels_of


def watch_services(services: Informer, pods: Informer, queue: WorkQueue[Key]) -> None:
    """Queue a Service when it changes, and when a pod changes that it selects or selected before."""
    labels_before: dict[Key, dict[str, str]] = {}

    def pod_changed(change: Change) -> None:
        key, labels = key_of(change.object), labels_of(change.object)
        before = labels_before.pop(key, labels)
        if change.type != "DELETED":
            labels_before[key] = labels
        for service in services.all(key[0]):
            selector = service["spec"].get("selector") or {}
            if matches_labels(selector, labels) or matches_labels(selector, before):
                queue.add(key_of(service))

    services.listen(lambda change: queue.add(key_of(change.object)))
    pods.listen(pod_changed)
