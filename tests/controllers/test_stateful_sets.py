"""StatefulSets on a cluster, as kubectl sees them."""

from __future__ import annotations

import pytest

from meshlab.kube import ApiError
from meshlab.kube.objects import CONTROLLER_REVISION, ENDPOINT_SLICE, POD, STATEFUL_SET

SHELF = """
apiVersion: v1
kind: Service
metadata: {name: shelf}
spec: {clusterIP: None, selector: {app: shelf}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: shelf}
spec:
  serviceName: shelf
  replicas: 2
  selector: {matchLabels: {app: shelf}}
  template:
    metadata: {labels: {app: shelf}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: web, image: "meshlab:latest", command: [sleep, "600"], env: [{name: VERSION, value: "1"}]}
"""


async def uids(corner):
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in await corner.list(POD)}


async def test_pods_keep_their_names_through_updates_and_kubectl_rolls_back(corner, kubectl):
    await corner.apply(SHELF)
    assert "2 new pods have been updated" in await kubectl("rollout", "status", "sts/shelf", "--timeout=30s")
    first = await uids(corner)
    assert sorted(first) == ["shelf-0", "shelf-1"]
    pod = await corner.get(POD, "shelf-1")
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("shelf-1", "shelf")
    await kubectl("set", "env", "sts/shelf", "VERSION=2")
    await kubectl("rollout", "status", "sts/shelf", "--timeout=30s")
    second = await uids(corner)
    assert sorted(second) == ["shelf-0", "shelf-1"]
    assert not set(first.values()) & set(second.values())
    history = await kubectl("rollout", "history", "sts/shelf")
    assert [row.split()[0] for row in history.splitlines()[2:4]] == ["1", "2"]
    await kubectl("rollout", "undo", "sts/shelf")
    await kubectl("rollout", "status", "sts/shelf", "--timeout=30s")
    stored = await corner.get(STATEFUL_SET, "shelf")
    assert stored["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "VERSION", "value": "1"}]
    assert stored["status"]["currentRevision"] == stored["status"]["updateRevision"]
    assert sorted(row["revision"] for row in await corner.list(CONTROLLER_REVISION)) == [2, 3]
    names = [end["hostname"] for found in await corner.list(ENDPOINT_SLICE) for end in found["endpoints"]]
    assert sorted(names) == ["shelf-0", "shelf-1"]
    assert (await corner.events("shelf"))["SuccessfulDelete"].startswith("delete Pod shelf-")


async def test_it_grows_and_shrinks_at_its_end_and_a_partition_holds_back_an_update(corner, kubectl):
    await corner.apply(SHELF.replace("replicas: 2", "replicas: 1\n  podManagementPolicy: Parallel"))
    await kubectl("rollout", "status", "sts/shelf", "--timeout=30s")
    await kubectl("scale", "sts/shelf", "--replicas=3")
    await kubectl("wait", "sts/shelf", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=30s")
    before = await uids(corner)
    update = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await corner.patch(STATEFUL_SET, "shelf", {"spec": {"updateStrategy": update}})
    await kubectl("set", "env", "sts/shelf", "VERSION=2")
    await kubectl("rollout", "status", "sts/shelf", "--timeout=30s")
    after = await uids(corner)
    assert [name for name in after if after[name] != before[name]] == ["shelf-2"]
    await kubectl("scale", "sts/shelf", "--replicas=1")
    await kubectl("wait", "sts/shelf", "--for=jsonpath={.status.replicas}=1", "--timeout=30s")
    assert list(await uids(corner)) == ["shelf-0"]


async def test_volume_claims_are_refused_in_words(corner):
    claims = "volumeClaimTemplates: [{metadata: {name: books}, spec: {accessModes: [ReadWriteOnce]}}]"
    with pytest.raises(ApiError, match="no volumes that outlive a pod"):
        await corner.apply(SHELF.replace("replicas: 2", f"replicas: 2\n  {claims}"))
