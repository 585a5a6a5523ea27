"""Deployments on a cluster, as kubectl sees them."""

from __future__ import annotations

import asyncio
import os

import pytest

from meshlab.kube import Ref
from meshlab.kube.objects import DEPLOYMENT, POD, REPLICA_SET, SERVICE_ACCOUNT

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  revisionHistoryLimit: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: web, image: "meshlab:latest", command: [sleep, "600"], env: [{name: VERSION, value: "1"}]}
"""


async def deploy(corner, text=WEB):
    await corner.apply(text)
    return await available(corner)


async def available(corner):
    async def check():
        deployment = await corner.get(DEPLOYMENT, "web")
        wanted, status = deployment["spec"]["replicas"], deployment.get("status", {})
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
        current = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        return deployment if current and counts == [wanted] * 3 else None

    return await corner.eventually(check)


def conditions(obj):
    return {row["type"]: (row["status"], row["reason"]) for row in obj["status"]["conditions"]}


async def test_a_deployment_makes_one_replicaset_and_its_pods(corner):
    deployment = await deploy(corner)
    assert conditions(deployment) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    [replica_set] = await corner.list(REPLICA_SET)
    name = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"web-{name}"
    assert replica_set["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]
    pods = await corner.list(POD)
    assert len(pods) == 2
    assert {pod["metadata"]["labels"]["pod-template-hash"] for pod in pods} == {name}
    assert (await corner.events("web"))["ScalingReplicaSet"] == f"Scaled up replica set web-{name} from 0 to 2"


async def test_kubectl_rolls_out_restarts_undoes_and_remembers(corner, kubectl):
    await deploy(corner)
    await kubectl("rollout", "restart", "deployment/web")
    assert "successfully rolled out" in await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    await kubectl("set", "env", "deployment/web", "VERSION=2")
    await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert [row.split()[0] for row in (await kubectl("rollout", "history", "deployment/web")).splitlines()[2:5]] == [
        "1",
        "2",
        "3",
    ]
    await kubectl("rollout", "undo", "deployment/web", "--to-revision=1")
    await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    [container] = (await corner.get(DEPLOYMENT, "web"))["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "VERSION", "value": "1"}]
    await kubectl("wait", "--for=condition=available", "deployment/web", "--timeout=10s")
    assert "Revision:1" not in await kubectl("rollout", "history", "deployment/web")


async def test_the_history_is_as_long_as_asked_for(corner):
    await deploy(corner)
    for version in "2345":
        template = {"metadata": {"annotations": {"version": version}}}
        await corner.patch(DEPLOYMENT, "web", {"spec": {"template": template}})
        await available(corner)

    async def three_left():
        return len(await corner.list(REPLICA_SET)) == 3

    await corner.eventually(three_left)


async def test_a_rolling_update_never_leaves_its_limits(corner):
    await deploy(
        corner, WEB.replace("replicas: 2", "replicas: 4\n  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}")
    )
    counts = []

    async def watch():
        while True:
            pods = await corner.list(POD)
            ready = [
                pod
                for pod in pods
                if "True" in [c["status"] for c in pod["status"].get("conditions", []) if c["type"] == "Ready"]
            ]
            here = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
            counts.append((len(here), len([pod for pod in ready if pod in here])))

    watching = asyncio.create_task(watch())
    await corner.patch(DEPLOYMENT, "web", {"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}})
    await available(corner)
    watching.cancel()
    assert max(total for total, _ in counts) <= 5
    assert min(ready for _, ready in counts) >= 3


async def test_recreate_ends_the_old_pods_before_it_starts_new_ones(corner):
    await deploy(corner, WEB.replace("replicas: 2", "replicas: 2\n  strategy: {type: Recreate}"))
    versions = []

    async def watch():
        while True:
            running = [
                pod for pod in await corner.list(POD) if pod["status"].get("phase") not in ("Failed", "Succeeded")
            ]
            versions.append({pod["metadata"]["labels"]["pod-template-hash"] for pod in running})

    watching = asyncio.create_task(watch())
    await corner.patch(DEPLOYMENT, "web", {"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}})
    await available(corner)
    watching.cancel()
    assert max(map(len, versions)) == 1


async def test_scaling_up_and_down_to_zero_and_back(corner, kubectl):
    await deploy(corner)
    for count in (5, 0, 1):
        await kubectl("scale", "deployment/web", f"--replicas={count}")
        await available(corner)

        async def that_many(count=count):
            return len(await corner.list(POD)) == count

        await corner.eventually(that_many)
    assert len(await corner.list(REPLICA_SET)) == 1


async def test_a_paused_deployment_takes_changes_but_does_not_roll_out(corner, kubectl):
    await deploy(corner)
    await kubectl("rollout", "pause", "deployment/web")
    await kubectl("set", "env", "deployment/web", "VERSION=2")
    await kubectl("scale", "deployment/web", "--replicas=3")

    async def three():
        status = (await corner.get(DEPLOYMENT, "web"))["status"]
        return status.get("availableReplicas") == 3

    await corner.eventually(three)
    assert len(await corner.list(REPLICA_SET)) == 1
    await kubectl("rollout", "resume", "deployment/web")
    await available(corner)
    assert len(await corner.list(REPLICA_SET)) == 2


async def test_a_rollout_that_makes_no_progress_says_so(corner):
    never = "readinessProbe: {exec: {command: ['false']}}, env"
    await corner.apply(WEB.replace("env", never).replace("replicas: 2", "replicas: 2\n  progressDeadlineSeconds: 1"))

    async def late():
        deployment = await corner.get(DEPLOYMENT, "web")
        return conditions(deployment).get("Progressing") if "conditions" in deployment.get("status", {}) else None

    async def exceeded():
        return await late() == ("False", "ProgressDeadlineExceeded")

    await corner.eventually(exceeded)
    assert conditions(await corner.get(DEPLOYMENT, "web"))["Available"] == ("False", "MinimumReplicasUnavailable")


async def test_a_pod_that_cannot_be_made_shows_in_the_conditions(corner):
    await corner.apply(WEB.replace("terminationGrace", "serviceAccountName: nobody\n      terminationGrace"))
    if os.environ.get("MESHLAB_ORACLE_KUBECONFIG"):
        pytest.skip("the oracle runs without the ServiceAccount admission plugin")

    async def failed():
        deployment = await corner.get(DEPLOYMENT, "web")
        return conditions(deployment).get("ReplicaFailure") if "conditions" in deployment.get("status", {}) else None

    assert await corner.eventually(failed) == ("True", "FailedCreate")
    await corner.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: nobody}}")
    await available(corner)


async def test_a_pod_that_is_deleted_is_replaced(corner):
    await deploy(corner)
    before = {pod["metadata"]["name"] for pod in await corner.list(POD)}
    await corner.kube.delete(POD, min(before), corner.namespace)

    async def replaced():
        names = {pod["metadata"]["name"] for pod in await corner.list(POD)}
        return len(names) == 2 and min(before) not in names

    await corner.eventually(replaced)


async def test_a_pod_whose_label_is_taken_off_is_let_go_and_one_that_matches_is_adopted(corner):
    await deploy(corner)
    [first, _] = await corner.list(POD)
    name = first["metadata"]["name"]
    await corner.patch(POD, name, {"metadata": {"labels": {"app": None}}})

    async def let_go():
        return not (await corner.get(POD, name))["metadata"].get("ownerReferences") and len(await corner.list(POD)) == 3

    await corner.eventually(let_go)
    await corner.patch(POD, name, {"metadata": {"labels": {"app": "web"}}})

    async def two_again():
        pods = await corner.list(POD)
        return len(pods) == 2 and all(pod["metadata"].get("ownerReferences") for pod in pods)

    await corner.eventually(two_again)


async def test_every_namespace_has_an_account_and_the_ca_and_gets_them_back(corner):
    async def has_account():
        return await corner.kube.find(SERVICE_ACCOUNT, "default", corner.namespace)

    first = await corner.eventually(has_account)
    await corner.kube.delete(SERVICE_ACCOUNT, "default", corner.namespace)

    async def has_another():
        found = await corner.kube.find(SERVICE_ACCOUNT, "default", corner.namespace)
        return found and found["metadata"]["uid"] != first["metadata"]["uid"]

    await corner.eventually(has_another)
    assert str(Ref.of(first)) == f"ServiceAccount {corner.namespace}/default"
