"""Which node a pod runs on, and what is said when none fits."""

from __future__ import annotations

from meshlab.cluster.embedded.controllers.scheduler import why_not
from meshlab.kube.objects import POD


def node(ready="True", **spec):
    conditions = [{"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": "n", "labels": {"disk": "ssd", "cores": "4"}},
        "spec": spec,
        "status": {"conditions": conditions},
    }


def pod(**spec):
    return {"metadata": {"name": "p"}, "spec": spec}


def required(*expressions):
    terms = [{"matchExpressions": list(expressions)}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def test_a_pod_without_wishes_fits_a_ready_node_only():
    assert why_not(pod(), node()) is None
    assert why_not(pod(), node(ready="False")) == "node(s) were not ready"
    assert why_not(pod(), node(unschedulable=True)) == "node(s) were unschedulable"


def test_a_node_selector_and_an_affinity_have_to_match():
    refusal = "node(s) didn't match Pod's node affinity/selector"
    assert why_not(pod(nodeSelector={"disk": "ssd"}), node()) is None
    assert why_not(pod(nodeSelector={"disk": "tape"}), node()) == refusal
    assert why_not(pod(affinity=required({"key": "cores", "operator": "Gt", "values": ["2"]})), node()) is None
    assert why_not(pod(affinity=required({"key": "gpu", "operator": "Exists"})), node()) == refusal


def test_a_taint_keeps_away_what_does_not_tolerate_it():
    tainted = node(taints=[{"key": "only", "value": "db", "effect": "NoSchedule"}])
    assert why_not(pod(), tainted) == "node(s) had untolerated taint {only: db}"
    assert why_not(pod(tolerations=[{"key": "only", "operator": "Exists"}]), tainted) is None
    assert why_not(pod(tolerations=[{"key": "only", "value": "db"}]), tainted) is None
    assert why_not(pod(), node(taints=[{"key": "only", "effect": "PreferNoSchedule"}])) is None


async def test_a_pod_that_fits_nowhere_stays_pending_and_says_why(corner):
    await corner.apply("""
apiVersion: v1
kind: Pod
metadata: {name: picky}
spec:
  nodeSelector: {disk: tape}
  containers: [{name: c, image: "meshlab:latest", command: [sleep, "1"]}]
""")

    async def says_why():
        return (await corner.events("picky")).get("FailedScheduling")

    message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    assert await corner.eventually(says_why) == message
    [condition] = (await corner.get(POD, "picky"))["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
