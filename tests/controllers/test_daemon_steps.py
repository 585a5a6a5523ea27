"""Which nodes get a pod of a DaemonSet, and how an update reaches them."""

from __future__ import annotations

from meshlab.cluster.embedded.controllers.daemon_steps import new_pod, next_steps, node_of

OLD, NEW = "old", "new"


def daemon_set(strategy=None, **pod_spec):
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    template = {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [], **pod_spec}}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "n", "uid": "u", "generation": 1},
        "spec": {"template": template, "updateStrategy": strategy or rolling},
    }


def node(name, *taints, **labels):
    return {"metadata": {"name": name, "labels": labels}, "spec": {"taints": list(taints)}}


def pod(on, revision=NEW, *, ready=True, leaving=False, phase="Running", name=""):
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:00Z"}
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}
    metadata = {"name": name or f"{on}-{revision}", "creationTimestamp": "2026-01-01T00:00:00Z", **gone}
    return {
        "metadata": {**metadata, "labels": {"controller-revision-hash": revision}},
        "spec": {"nodeName": on},
        "status": {"phase": phase, "conditions": [condition]},
    }


def steps(wanted, nodes, pods):
    found = next_steps(wanted, nodes, pods, NEW)
    return found.create, [pod["metadata"]["name"] for pod in found.delete]


def test_every_node_gets_one():
    assert steps(daemon_set(), [node("a"), node("b")], [pod("a")]) == (["b"], [])
    assert steps(daemon_set(), [node("a")], [pod("a"), pod("a", name="twice")]) == ([], ["twice"])


def test_its_pod_can_run_on_its_node_only():
    made = new_pod(daemon_set(), "a", NEW)
    assert node_of(made) == "a"
    assert made["metadata"]["labels"] == {"app": "agent", "controller-revision-hash": NEW}


def test_a_node_that_is_not_chosen_or_not_tolerated_gets_none():
    wanted = daemon_set(nodeSelector={"disk": "ssd"})
    assert steps(wanted, [node("a"), node("b", disk="ssd")], [pod("a")]) == (["b"], ["a-new"])
    taint = {"key": "mine", "effect": "NoSchedule"}
    assert steps(daemon_set(), [node("a", taint)], []) == ([], [])
    assert steps(daemon_set(), [node("a", taint)], [pod("a")]) == ([], [])
    assert steps(daemon_set(), [node("a", {**taint, "effect": "NoExecute"})], [pod("a")]) == ([], ["a-new"])


def test_a_cordoned_node_keeps_its_pod():
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    assert steps(daemon_set(), [node("a", cordon)], []) == (["a"], [])


def test_a_pod_that_has_ended_is_made_anew():
    assert steps(daemon_set(), [node("a")], [pod("a", phase="Failed")]) == ([], ["a-new"])
    assert steps(daemon_set(), [node("a")], [pod("a", leaving=True)]) == ([], [])


def test_an_update_replaces_as_many_as_may_be_missing():
    nodes = [node("a"), node("b")]
    assert steps(daemon_set(), nodes, [pod("a", OLD), pod("b", OLD)]) == ([], ["a-old"])
    assert steps(daemon_set(), nodes, [pod("a", ready=False), pod("b", OLD)]) == ([], [])
    assert steps(daemon_set(), nodes, [pod("a", OLD, ready=False), pod("b", OLD)]) == ([], ["a-old"])
    assert steps(daemon_set({"type": "OnDelete"}), nodes, [pod("a", OLD), pod("b", OLD)]) == ([], [])


def test_with_a_surge_the_new_one_comes_before_the_old_one_goes():
    surge = daemon_set({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}})
    assert steps(surge, [node("a")], [pod("a", OLD)]) == (["a"], [])
    assert steps(surge, [node("a")], [pod("a", OLD), pod("a", ready=False)]) == ([], [])
    assert steps(surge, [node("a")], [pod("a", OLD), pod("a")]) == ([], ["a-old"])
