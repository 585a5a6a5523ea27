"""The real kubectl finds what it expects of a cluster: one test for each thing a learner does with it."""

from __future__ import annotations

import json
import re
import threading

import pytest

pytestmark = pytest.mark.kubectl

READY = "--timeout=60s"


def config_map(name, **data):
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def columns(table):
    """The cells of kubectl's table: a row for each object."""
    head, *rows = table.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+(?: \S+)*", head)]
    spans = list(zip(starts, [*starts[1:], None], strict=True))
    return [{head[a:b].strip(): row[a:b].strip() for a, b in spans} for row in rows]


@pytest.fixture(scope="module")
def web(kubectl):
    """A Deployment that is available."""
    kubectl("apply", "-f", "-", stdin=kubectl.deployment("web"))
    kubectl("rollout", "status", "deployment/web", READY)
    return "web"


def test_get_everywhere_and_wide_shows_pods_with_address_and_node(kubectl, web):
    rows = columns(kubectl("get", "pods", "-A", "-o", "wide"))
    pod = next(row for row in rows if row["NAMESPACE"] == kubectl.namespace and row["NAME"].startswith(web))
    wanted = ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert list(pod) == [*wanted, "NOMINATED NODE", "READINESS GATES"]
    assert (pod["READY"], pod["STATUS"], pod["RESTARTS"]) == ("1/1", "Running", "0")
    assert re.fullmatch(r"[\d.]+|[\da-f:]+", pod["IP"])
    assert pod["NODE"] != "<none>"


def test_get_all_in_every_namespace_shows_deployments_and_services(kubectl, web):
    said = kubectl("get", "all", "-A", "-o", "wide")
    assert f"deployment.apps/{web}" in said
    assert "service/kubernetes" in said


def test_get_watch_tells_what_happens_as_it_happens(kubectl):
    watch = kubectl.start("get", "configmaps", "-w", "--output-watch-events", "--field-selector=metadata.name=seen")
    lines: list[str] = []
    told = threading.Condition()

    def follow():
        for line in watch.stdout:
            with told:
                lines.append(line)
                told.notify_all()

    def wait_for(pattern):
        with told:
            assert told.wait_for(lambda: any(re.match(pattern, line) for line in lines), timeout=20), lines

    reader = threading.Thread(target=follow)
    reader.start()
    try:
        kubectl("create", "configmap", "seen", "--from-literal=a=1")
        wait_for(r"ADDED\s+seen\s+1\s")
        kubectl("patch", "configmap", "seen", "-p", '{"data":{"b":"2"}}')
        wait_for(r"MODIFIED\s+seen\s+2\s")
        kubectl("delete", "configmap", "seen")
        wait_for(r"DELETED\s+seen\s")
    finally:
        watch.kill()
        reader.join()
        watch.communicate()


def test_apply_creates_changes_and_removes_what_is_no_longer_said(kubectl):
    assert "configmap/applied created" in kubectl("apply", "-f", "-", stdin=config_map("applied", a="1", b="2"))
    assert "configmap/applied unchanged" in kubectl("apply", "-f", "-", stdin=config_map("applied", a="1", b="2"))
    assert "configmap/applied configured" in kubectl("apply", "-f", "-", stdin=config_map("applied", a="3"))
    assert json.loads(kubectl("get", "configmap", "applied", "-o", "jsonpath={.data}")) == {"a": "3"}


def test_apply_changes_an_object_of_a_custom_kind(kubectl, traffic_splits):
    split = """
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: applied}
spec: {service: applied, backends: [{service: v1, weight: %d}]}
"""
    assert "applied created" in kubectl("apply", "-f", "-", stdin=split % 1)
    assert "applied configured" in kubectl("apply", "-f", "-", stdin=split % 2)
    assert kubectl("get", "trafficsplit", "applied", "-o", "jsonpath={.spec.backends[0].weight}") == "2"


def test_apply_refuses_a_field_that_the_kind_does_not_have(kubectl):
    wrong = kubectl.deployment("wrong").replace("replicas: 1", "replicsa: 1")
    assert 'unknown field "spec.replicsa"' in kubectl("apply", "-f", "-", stdin=wrong, fails=True)


def test_server_side_apply_names_whose_field_it_is_and_can_take_it(kubectl):
    kubectl("apply", "--server-side", "--field-manager=alice", "-f", "-", stdin=config_map("shared", key="alice"))
    bob = ["apply", "--server-side", "--field-manager=bob", "-f", "-"]
    said = kubectl(*bob, stdin=config_map("shared", key="bob"), fails=True)
    assert 'conflict with "alice"' in said
    assert ".data.key" in said
    assert kubectl("get", "configmap", "shared", "-o", "jsonpath={.data.key}") == "alice"
    kubectl(*bob, "--force-conflicts", stdin=config_map("shared", key="bob"))
    assert kubectl("get", "configmap", "shared", "-o", "jsonpath={.data.key}") == "bob"
    fields = json.loads(kubectl("get", "configmap", "shared", "-o", "json", "--show-managed-fields"))
    owners = {row["manager"] for row in fields["metadata"]["managedFields"] if "f:data" in row["fieldsV1"]}
    assert owners == {"bob"}


def test_diff_shows_a_change_without_making_it(kubectl):
    kubectl("apply", "-f", "-", stdin=config_map("compared", key="old"))
    said = kubectl("diff", "-f", "-", stdin=config_map("compared", key="new"), fails=True)
    assert "-  key: old" in said
    assert "+  key: new" in said
    assert kubectl("get", "configmap", "compared", "-o", "jsonpath={.data.key}") == "old"
    assert kubectl("diff", "-f", "-", stdin=config_map("compared", key="old")) == ""


@pytest.mark.usefixtures("traffic_splits")
def test_explain_tells_the_fields_of_a_custom_kind(kubectl):
    said = kubectl("explain", "trafficsplit.spec")
    assert re.search(r"GROUP:\s+split\.smi-spec\.io", said)
    assert re.search(r"KIND:\s+TrafficSplit", said)
    assert re.search(r"backends\s+<\[\]Object> -required-", said)
    assert re.search(r"service\s+<string> -required-", said)


def test_explain_tells_the_fields_of_a_built_in_kind(kubectl):
    assert re.search(r"containerPort\s+<integer> -required-", kubectl("explain", "pod.spec.containers.ports"))


def test_describe_tells_a_pod_s_story(kubectl, web):
    said = kubectl("describe", "pods", "-l", f"app={web}")
    assert re.search(r"Status:\s+Running", said)
    assert re.search(r"Controlled By:\s+ReplicaSet/web-", said)
    assert re.search(r"Normal\s+Started\s", said)


def test_logs_follow_until_the_container_ends(kubectl):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "talker"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "main",
                    "image": kubectl.image,
                    "command": ["sh", "-c", "for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done"],
                }
            ],
        },
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    kubectl("wait", "--for=jsonpath={.status.containerStatuses[0].containerID}", "pod/talker", READY)
    assert kubectl("logs", "-f", "talker").splitlines() == [f"line {i}" for i in range(1, 6)]
    assert kubectl("logs", "--tail=1", "talker") == "line 5\n"


def test_scale_changes_how_many_pods_run(kubectl):
    kubectl("apply", "-f", "-", stdin=kubectl.deployment("scaled"))
    assert "deployment.apps/scaled scaled" in kubectl("scale", "deployment/scaled", "--replicas=3")
    kubectl("rollout", "status", "deployment/scaled", READY)
    assert columns(kubectl("get", "deployment", "scaled"))[0]["READY"] == "3/3"
    kubectl("scale", "deployment/scaled", "--replicas=0")
    kubectl("wait", "--for=delete", "pods", "-l", "app=scaled", READY)


def test_rollout_restart_replaces_the_pods_and_rollout_status_waits_for_it(kubectl, web):
    def pods():
        return set(kubectl("get", "pods", "-l", f"app={web}", "-o", "jsonpath={.items[*].metadata.uid}").split())

    before = pods()
    assert "deployment.apps/web restarted" in kubectl("rollout", "restart", f"deployment/{web}")
    assert "successfully rolled out" in kubectl("rollout", "status", f"deployment/{web}", READY)

    assert pods() - before


def test_delete_takes_a_deployment_s_pods_along(kubectl):
    kubectl("apply", "-f", "-", stdin=kubectl.deployment("doomed"))
    kubectl("rollout", "status", "deployment/doomed", READY)
    assert 'deployment.apps "doomed" deleted' in kubectl("delete", "deployment", "doomed")
    kubectl("wait", "--for=delete", "pods", "-l", "app=doomed", READY)
    assert "NotFound" in kubectl("get", "deployment", "doomed", fails=True)


def test_wait_returns_when_a_condition_comes_true(kubectl):
    kubectl("apply", "-f", "-", stdin=kubectl.deployment("awaited"))
    said = kubectl("wait", "--for=condition=Available", "deployment/awaited", READY)
    assert "deployment.apps/awaited condition met" in said
    said = kubectl("wait", "--for=jsonpath={.status.readyReplicas}=7", "deployment/awaited", "--timeout=1s", fails=True)
    assert "timed out" in said


def test_auth_can_i_answers_by_the_roles_there_are(kubectl):
    assert kubectl("auth", "can-i", "create", "deployments").strip() == "yes"
    account = f"--as=system:serviceaccount:{kubectl.namespace}:reader"
    assert kubectl("auth", "can-i", "list", "pods", account, fails=True).strip() == "no"
    kubectl("create", "serviceaccount", "reader")
    kubectl("create", "role", "read-pods", "--verb=get,list", "--resource=pods")
    subject = f"--serviceaccount={kubectl.namespace}:reader"
    kubectl("create", "rolebinding", "read-pods", "--role=read-pods", subject)
    assert kubectl("auth", "can-i", "list", "pods", account).strip() == "yes"
    assert kubectl("auth", "can-i", "delete", "pods", account, fails=True).strip() == "no"


@pytest.mark.usefixtures("traffic_splits")
def test_api_resources_lists_built_in_and_custom_kinds(kubectl):
    rows = {row["NAME"]: row for row in columns(kubectl("api-resources")) if "metrics" not in row["APIVERSION"]}
    assert rows["pods"] == {"NAME": "pods", "SHORTNAMES": "po", "APIVERSION": "v1", "NAMESPACED": "true", "KIND": "Pod"}
    assert rows["deployments"]["APIVERSION"] == "apps/v1"
    assert rows["trafficsplits"]["KIND"] == "TrafficSplit"


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (
            ["deployment", "made", "--image=web:1", "--replicas=0", "--port=80"],
            {"{.spec.replicas}": "0", "{.spec.template.spec.containers[0].ports[0].containerPort}": "80"},
        ),
        (["secret", "generic", "made", "--from-literal=key=value"], {"{.data.key}": "dmFsdWU=", "{.type}": "Opaque"}),
        (
            ["service", "nodeport", "made", "--tcp=80:http"],
            {"{.spec.type}": "NodePort", "{.spec.ports[0].targetPort}": "http"},
        ),
        (
            ["role", "made", "--verb=get,list", "--resource=deployments.apps", "--resource-name=one"],
            {
                "{.rules[0].apiGroups}": '["apps"]',
                "{.rules[0].resourceNames}": '["one"]',
                "{.rules[0].verbs[1]}": "list",
            },
        ),
        (
            ["rolebinding", "made", "--clusterrole=view", "--user=bob", "--serviceaccount=there:account"],
            {
                "{.roleRef.name}": "view",
                "{.subjects[*].kind}": "User ServiceAccount",
                "{.subjects[1].namespace}": "there",
            },
        ),
        (["serviceaccount", "made"], {"{.kind}": "ServiceAccount"}),
        (["job", "made", "--image=web:1", "--", "sh", "-c", "true"], {"{.spec.template.spec.restartPolicy}": "Never"}),
    ],
)
def test_create_makes_objects_without_yaml(kubectl, arguments, fields):
    kubectl("create", *arguments)
    for path, value in fields.items():
        assert kubectl("get", arguments[0], "made", "-o", f"jsonpath={path}") == value
