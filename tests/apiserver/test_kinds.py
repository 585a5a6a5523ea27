"""What the server knows of built-in kinds: defaults, rules, addresses, scale, bindings."""

import copy
from typing import Any

import pytest

from .conftest import Server

Object = dict[str, Any]


@pytest.fixture
def services(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/services"


@pytest.fixture
def pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def pod(name: str = "p", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "x:1"}], **spec}}


async def test_a_deployment_gets_the_usual_defaults(server: Server, deployments: str, deployment: Object) -> None:
    spec = (await server.made(deployments, deployment))["spec"]
    template = spec.pop("template")["spec"]
    assert spec == {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    assert template == {
        "containers": [
            {
                "name": "web",
                "image": "web:1",
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "env": [{"name": "COLOR", "value": "blue"}],
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"selector": {"matchLabels": {"app": "other"}}}, "spec.template.metadata.labels", "`selector` does not match"),
        ({"selector": None}, "spec.selector", "Required value"),
        ({"replicas": -1}, "spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        ({"strategy": {"type": "Fast"}}, "spec.strategy", 'supported values: "Recreate", "RollingUpdate"'),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {}}},
            "spec.strategy.rollingUpdate",
            "may not be specified",
        ),
    ],
)
async def test_a_deployment_that_makes_no_sense_is_invalid(
    server: Server, deployments: str, deployment: Object, change: Object, field: str, message: str
) -> None:
    answer = await server.post(deployments, {**deployment, "spec": {**deployment["spec"], **change}})
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message.startswith('Deployment.apps "web" is invalid: ')
    assert (field, True) in [(where, message in said) for where, said in answer.causes]


async def test_a_selector_never_changes(server: Server, deployments: str, deployment: Object) -> None:
    await server.made(deployments, deployment)
    labels = {"app": "other"}
    change = {"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}}
    answer = await server.patch(f"{deployments}/web", change)
    assert answer.causes == [("spec.selector", 'Invalid value: {"matchLabels":{"app":"other"}}: field is immutable')]


async def test_scale_shows_and_sets_the_replicas(server: Server, deployments: str, deployment: Object) -> None:
    await server.made(deployments, deployment)
    scale = (await server.get(f"{deployments}/web/scale")).body
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 0, "selector": "app=web"})
    scale["spec"]["replicas"] = 3
    assert (await server.put(f"{deployments}/web/scale", scale)).body["spec"] == {"replicas": 3}
    assert (await server.put(f"{deployments}/web/scale", scale)).status == 409
    assert (await server.patch(f"{deployments}/web/scale", {"spec": {"replicas": 4}})).status == 200
    assert (await server.get(f"{deployments}/web")).body["spec"]["replicas"] == 4
    wrong = await server.patch(f"{deployments}/web/scale", {"spec": {"replicas": -1}})
    assert wrong.message == (
        'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
    )


async def test_a_new_pod_is_pending(server: Server, pods: str) -> None:
    made = await server.made(pods, pod())
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["spec"]["enableServiceLinks"] is True
    assert made["spec"]["priority"] == 0
    assert [row["tolerationSeconds"] for row in made["spec"]["tolerations"]] == [300, 300]


async def test_a_binding_puts_a_pod_on_a_node_once(server: Server, pods: str) -> None:
    await server.made(pods, pod())
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    await server.made(f"{pods}/p/binding", binding)
    bound = (await server.get(f"{pods}/p")).body
    assert bound["spec"]["nodeName"] == "n"
    assert [(row["type"], row["status"]) for row in bound["status"]["conditions"]] == [("PodScheduled", "True")]
    again = await server.post(f"{pods}/p/binding", binding)
    assert (again.status, again.message) == (
        409,
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n"',
    )
    elsewhere = await server.patch(f"{pods}/p", {"spec": {"nodeName": "m"}})
    assert (elsewhere.status, elsewhere.causes[0][0]) == (422, "spec")


async def test_a_pod_that_makes_no_sense_is_told_every_fault(server: Server, pods: str) -> None:
    containers = [{"name": "A_b", "image": "x"}, {"name": "c"}, {"name": "c", "image": "y"}, {"image": "y"}]
    answer = await server.post(pods, pod(containers=containers, restartPolicy="Sometimes"))
    assert [(field, message.partition(":")[0]) for field, message in answer.causes] == [
        ("spec.containers[0].name", "Invalid value"),
        ("spec.containers[1].image", "Required value"),
        ("spec.containers[2].name", "Duplicate value"),
        ("spec.containers[3].name", "Required value"),
        ("spec.restartPolicy", "Unsupported value"),
    ]


async def test_a_pod_of_an_unknown_account_is_refused(server: Server, pods: str) -> None:
    answer = await server.post(pods, pod(serviceAccountName="nobody"))
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    assert 'serviceaccount "nobody" not found' in answer.message


async def test_a_service_gets_an_address_and_keeps_it(server: Server, services: str) -> None:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    made = await server.made(services, {"metadata": {"name": "s"}, "spec": spec})
    address = made["spec"]["clusterIP"]
    assert made["spec"]["clusterIPs"] == [address]
    assert made["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert made["status"] == {"loadBalancer": {}}
    replaced = await server.put(f"{services}/s", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 81}]}})
    assert replaced.body["spec"]["clusterIP"] == address
    moved = await server.patch(f"{services}/s", {"spec": {"clusterIP": "127.64.200.9"}})
    assert moved.causes == [("spec.clusterIPs[0]", 'Invalid value: ["127.64.200.9"]: may not change once set')]


async def test_services_differ_in_their_addresses(server: Server, services: str) -> None:
    made = [
        await server.made(services, {"metadata": {"name": f"s{n}"}, "spec": {"ports": [{"port": 80}]}})
        for n in range(5)
    ]
    assert len({service["spec"]["clusterIP"] for service in made}) == 5


async def test_a_headless_service_has_no_address(server: Server, services: str) -> None:
    made = await server.made(services, {"metadata": {"name": "s"}, "spec": {"clusterIP": "None"}})
    assert (made["spec"]["clusterIP"], made["spec"]["clusterIPs"]) == ("None", ["None"])


async def test_a_node_port_comes_and_goes_with_the_type(server: Server, services: str) -> None:
    await server.made(services, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    exposed = (await server.patch(f"{services}/s", {"spec": {"type": "NodePort"}})).body
    assert 30000 <= exposed["spec"]["ports"][0]["nodePort"] <= 32767
    assert exposed["spec"]["externalTrafficPolicy"] == "Cluster"
    hidden = (await server.patch(f"{services}/s", {"spec": {"type": "ClusterIP"}})).body
    assert "nodePort" not in hidden["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in hidden["spec"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.ports"),
        ({"ports": [{"port": 80}, {"port": 81}]}, "spec.ports[0].name"),
        ({"ports": [{"port": 0}]}, "spec.ports[0].port"),
        ({"ports": [{"port": 80}], "type": "Foo"}, "spec.type"),
        ({"ports": [{"port": 80}], "clusterIP": "8.8.8.8"}, "spec.clusterIPs"),
        ({"ports": [{"port": 80, "nodePort": 80}], "type": "NodePort"}, "spec.ports[0].nodePort"),
        ({"type": "ExternalName"}, "spec.externalName"),
    ],
)
async def test_a_service_that_makes_no_sense_is_invalid(
    server: Server, services: str, spec: Object, field: str
) -> None:
    answer = await server.post(services, {"metadata": {"name": "s"}, "spec": spec})
    assert answer.status == 422
    assert field in [where for where, _ in answer.causes]


@pytest.mark.parametrize(
    ("metadata", "field", "message"),
    [
        ({}, "metadata.name", "Required value: name or generateName is required"),
        ({"name": "A_b"}, "metadata.name", "a lowercase RFC 1123 subdomain must consist of"),
        ({"name": "x" * 254}, "metadata.name", "must be no more than 253 characters"),
        ({"name": "a", "labels": {"a/b/c": "x"}}, "metadata.labels", "a qualified name must consist of"),
        ({"name": "a", "labels": {"a": "-"}}, "metadata.labels", "a valid label must be an empty string or"),
        ({"name": "a", "annotations": {"a b": "c"}}, "metadata.annotations", "name part must consist of"),
        ({"name": "a", "finalizers": ["bad"]}, "metadata.finalizers[0]", "name is neither a standard finalizer name"),
        (
            {"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""}]},
            "metadata.ownerReferences.uid",
            "must not be empty",
        ),
    ],
)
async def test_metadata_that_breaks_the_rules_is_invalid(
    server: Server, maps: str, metadata: Object, field: str, message: str
) -> None:
    answer = await server.post(maps, {"metadata": metadata})
    assert (answer.status, answer.causes[0][0]) == (422, field)
    assert message in answer.causes[0][1]


async def test_a_secret_is_written_in_clear_and_kept_encoded(server: Server, namespace: str) -> None:
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    made = await server.made(secrets, {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    assert (made["data"], made["type"], "stringData" in made) == ({"a": "Yg=="}, "Opaque", False)
    assert (await server.patch(f"{secrets}/s", {"type": "x"})).causes[0][0] == "type"
    wrong = await server.post(secrets, {"metadata": {"name": "t"}, "data": {"a": "!!"}})
    assert (wrong.status, "illegal base64 data" in wrong.message) == (400, True)
    half = await server.post(secrets, {"metadata": {"name": "t"}, "type": "kubernetes.io/tls", "data": {}})
    assert [field for field, _ in half.causes] == ["data[tls.crt]", "data[tls.key]"]


async def test_an_immutable_config_map_does_not_change(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a"}, "immutable": True, "data": {"x": "1"}})
    answer = await server.patch(f"{maps}/a", {"data": {"x": "2"}})
    assert answer.causes == [("data", "Forbidden: field is immutable when `immutable` is set")]


async def test_a_job_finds_its_pods_by_its_own_uid(server: Server, namespace: str) -> None:
    template = {"spec": {**copy.deepcopy(pod()["spec"]), "restartPolicy": "Never"}}
    body = {"metadata": {"name": "j"}, "spec": {"template": template}}
    made = await server.made(f"/apis/batch/v1/namespaces/{namespace}/jobs", body)
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert made["spec"]["template"]["metadata"]["labels"]["controller-uid"] == uid
