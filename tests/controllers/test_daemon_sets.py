"""DaemonSets on a cluster of one node, as kubectl sees them."""

from __future__ import annotations

from meshlab.kube.objects import CONTROLLER_REVISION, DAEMON_SET, POD

AGENT = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: agent, image: "meshlab:latest", command: [sleep, "600"], env: [{name: VERSION, value: "1"}]}
"""


async def test_each_node_has_one_pod_which_an_update_replaces_and_undo_brings_back(corner, kubectl):
    await corner.apply(AGENT)
    assert "successfully rolled out" in await kubectl("rollout", "status", "ds/agent", "--timeout=30s")
    [first] = await corner.list(POD)
    await kubectl("set", "env", "ds/agent", "VERSION=2")
    await kubectl("rollout", "status", "ds/agent", "--timeout=30s")
    assert first["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in await corner.list(POD)}
    await kubectl("rollout", "undo", "ds/agent")
    await kubectl("rollout", "status", "ds/agent", "--timeout=30s")
    stored = await corner.get(DAEMON_SET, "agent")
    assert stored["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "VERSION", "value": "1"}]
    assert sorted(row["revision"] for row in await corner.list(CONTROLLER_REVISION)) == [2, 3]
    status = stored["status"]
    assert [status[name] for name in ("desiredNumberScheduled", "numberAvailable", "numberMisscheduled")] == [1, 1, 0]
    row = (await kubectl("get", "ds/agent", "--no-headers")).split()
    assert row[:6] == ["agent", "1", "1", "1", "1", "1"]


async def test_a_node_that_it_does_not_choose_has_none(corner, kubectl):
    await corner.apply(AGENT)
    await kubectl("rollout", "status", "ds/agent", "--timeout=30s")
    selector = {"spec": {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}}}
    await corner.patch(DAEMON_SET, "agent", selector)
    await kubectl("wait", "pods", "-l", "app=agent", "--for=delete", "--timeout=30s")
    await kubectl("wait", "ds/agent", "--for=jsonpath={.status.desiredNumberScheduled}=0", "--timeout=30s")
