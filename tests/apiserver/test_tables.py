"""What `kubectl get` prints: the columns and cells of each kind."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from meshlab.cluster.embedded.apiserver import jsonpath
from meshlab.cluster.embedded.apiserver.builtin import builtin_resources
from meshlab.cluster.embedded.apiserver.printers import printer
from meshlab.cluster.embedded.apiserver.printing import duration

from .conftest import MERGE, Server

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
STARTED = "2026-01-01T00:00:00Z"


async def row(server: Server, path: str) -> dict[str, Any]:
    """The one row of a table, by the names of its columns."""
    table = (await server.get(path, TABLE)).body
    names = [column["name"] for column in table["columnDefinitions"]]
    return dict(zip(names, table["rows"][0]["cells"], strict=True))


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("/api/v1/pods", "Name Ready Status Restarts Age IP* Node* Nominated_Node* Readiness_Gates*"),
        ("/api/v1/services", "Name Type Cluster-IP External-IP Port(s) Age Selector*"),
        ("/api/v1/namespaces", "Name Status Age"),
        ("/api/v1/configmaps", "Name Data Age"),
        ("/api/v1/secrets", "Name Type Data Age"),
        ("/api/v1/serviceaccounts", "Name Secrets Age"),
        (
            "/api/v1/nodes",
            "Name Status Roles Age Version Internal-IP* External-IP* OS-Image* Kernel-Version* Container-Runtime*",
        ),
        ("/api/v1/events", "Last_Seen Type Reason Object Subobject* Source* Message First_Seen* Count* Name*"),
        ("/apis/apps/v1/deployments", "Name Ready Up-to-date Available Age Containers* Images* Selector*"),
        ("/apis/apps/v1/replicasets", "Name Desired Current Ready Age Containers* Images* Selector*"),
        ("/apis/apps/v1/statefulsets", "Name Ready Age Containers* Images*"),
        (
            "/apis/apps/v1/daemonsets",
            "Name Desired Current Ready Up-to-date Available Node_Selector Age Containers* Images* Selector*",
        ),
        ("/apis/batch/v1/jobs", "Name Status Completions Duration Age Containers* Images* Selector*"),
        ("/apis/discovery.k8s.io/v1/endpointslices", "Name AddressType Ports Endpoints Age"),
        ("/apis/coordination.k8s.io/v1/leases", "Name Holder Age"),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", "Name Created_At"),
        ("/apis/rbac.authorization.k8s.io/v1/rolebindings", "Name Role Age Users* Groups* ServiceAccounts*"),
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "Name Created_At"),
        ("/apis/apiregistration.k8s.io/v1/apiservices", "Name Service Available Age"),
        ("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", "Name Webhooks Age"),
    ],
)  # fmt: skip
async def test_columns_are_kubectl_s_and_wide_ones_are_marked(server: Server, path: str, columns: str) -> None:
    found = (await server.get(path, TABLE)).body["columnDefinitions"]
    shown = [column["name"].replace(" ", "_") + "*" * bool(column["priority"]) for column in found]
    assert " ".join(shown) == columns


async def test_rows_bring_metadata_the_object_or_nothing(server: Server, maps: str) -> None:
    await server.made(maps, {"metadata": {"name": "a"}, "data": {"k": "v"}})
    path = f"{maps}?fieldSelector=metadata.name=a"
    found = (await server.get(path, TABLE)).body["rows"][0]["object"]
    assert (found["kind"], found["metadata"]["name"], "data" in found) == ("PartialObjectMetadata", "a", False)
    assert (await server.get(f"{path}&includeObject=Object", TABLE)).body["rows"][0]["object"]["data"] == {"k": "v"}
    nothing = (await server.get(f"{path}&includeObject=None", TABLE)).body["rows"][0]
    assert not nothing.get("object")


def _state(**state: Any) -> dict[str, Any]:
    return {"name": "c", "image": "i", "imageID": "", "ready": False, "restartCount": 0, **state}


RUNNING = _state(ready=True, state={"running": {"startedAt": STARTED}})


@pytest.mark.parametrize(
    ("status", "ready", "shown"),
    [
        ({"phase": "Pending"}, "0/1", "Pending"),
        ({"phase": "Running", "containerStatuses": [RUNNING]}, "1/1", "Running"),
        (
            {"phase": "Pending", "containerStatuses": [_state(state={"waiting": {"reason": "ErrImagePull"}})]},
            "0/1",
            "ErrImagePull",
        ),
        (
            {"phase": "Succeeded", "containerStatuses": [
                _state(state={"terminated": {"exitCode": 0, "reason": "Completed"}})]},
            "0/1",
            "Completed",
        ),
        (
            {"phase": "Failed", "containerStatuses": [_state(state={"terminated": {"exitCode": 3}})]},
            "0/1",
            "ExitCode:3",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, "0/1", "Evicted"),
        (
            {"phase": "Pending", "initContainerStatuses": [_state(name="first", state={"running": {}})]},
            "0/1",
            "Init:0/1",
        ),
        (
            {"phase": "Pending", "initContainerStatuses": [
                _state(name="first", state={"terminated": {"exitCode": 1, "reason": "Error"}})]},
            "0/1",
            "Init:Error",
        ),
        (
            {"phase": "Pending", "initContainerStatuses": [
                _state(name="first", state={"waiting": {"reason": "CrashLoopBackOff"}})]},
            "0/1",
            "Init:CrashLoopBackOff",
        ),
    ],
)  # fmt: skip
async def test_a_pod_s_row_sums_up_its_containers(
    server: Server, namespace: str, status: dict[str, Any], ready: str, shown: str
) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "c", "image": "i"}], "initContainers": [{"name": "first", "image": "i"}]}
    await server.made(pods, {"metadata": {"name": "p"}, "spec": spec})
    assert (await server.patch(f"{pods}/p/status", {"status": status}, MERGE)).status == 200
    found = await row(server, pods)
    assert (found["Ready"], found["Status"]) == (ready, shown)
    assert (found["IP"], found["Node"], found["Readiness Gates"]) == ("<none>", "<none>", "<none>")


async def test_a_deployment_s_row(server: Server, deployments: str, deployment: dict[str, Any]) -> None:
    await server.made(deployments, deployment)
    found = await row(server, deployments)
    wide = {"Containers": "web", "Images": "web:1", "Selector": "app=web"}
    assert {"Name": "web", "Ready": "0/1", "Up-to-date": 0, "Available": 0, **wide}.items() <= found.items()


async def test_a_service_s_row(server: Server, namespace: str) -> None:
    services = f"/api/v1/namespaces/{namespace}/services"
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP"}]
    spec = {"selector": {"version": "v1", "app": "web"}, "ports": ports, "clusterIP": "None"}
    await server.made(services, {"metadata": {"name": "web"}, "spec": spec})
    found = await row(server, services)
    assert (found["Type"], found["Cluster-IP"], found["External-IP"]) == ("ClusterIP", "None", "<none>")
    assert (found["Port(s)"], found["Selector"]) == ("80/TCP,53/UDP", "app=web,version=v1")


async def test_an_endpoint_slice_s_row(server: Server, namespace: str) -> None:
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    endpoints = [{"addresses": [f"10.0.0.{n}"]} for n in range(1, 6)]
    body = {
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}],
    }
    await server.made(slices, {"metadata": {"name": "web"}, **body})
    found = await row(server, slices)
    assert (found["Ports"], found["Endpoints"]) == ("80,81", "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...")


async def test_an_event_s_row(server: Server, namespace: str) -> None:
    events = f"/api/v1/namespaces/{namespace}/events"
    about = {"kind": "Pod", "name": "p", "namespace": namespace, "fieldPath": "spec.containers{c}"}
    body = {"involvedObject": about, "type": "Normal", "reason": "Started", "message": " it runs ", "count": 3}
    source = {"component": "kubelet", "host": "node"}
    await server.made(events, {"metadata": {"name": "e"}, **body, "source": source, "lastTimestamp": STARTED})
    found = await row(server, events)
    assert (found["Object"], found["Subobject"], found["Source"]) == ("pod/p", "spec.containers{c}", "kubelet, node")
    assert (found["Message"], found["Count"], found["Type"]) == ("it runs", 3, "Normal")
    other = await row(server, f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
    assert (other["Object"], other["Message"]) == ("pod/p", "it runs")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (600, "10m"), (659, "10m"), (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"), (8 * 3600, "8h"), (47 * 3600, "47h"), (48 * 3600, "2d"), (50 * 3600, "2d2h"),
        (8 * 86400, "8d"), (730 * 86400, "2y"), (735 * 86400, "2y5d"), (2920 * 86400, "8y"), (-1, "0s"),
        (-60, "<invalid>"),
    ],
)  # fmt: skip
def test_spans_of_time_are_short(seconds: int, text: str) -> None:
    assert duration(dt.timedelta(seconds=seconds)) == text


THING = {
    "spec": {"list": [{"name": "a", "n": 1}, {"name": "b", "n": 2}], "map": {"x.y": 1}, "on": True},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.on", [True]),
        (".spec.list[1].name", ["b"]),
        (".spec.list[-1].n", [2]),
        (".spec.list[*].name", ["a", "b"]),
        (".spec.list[9]", []),
        ('.spec.map["x.y"]', [1]),
        (r".spec.map.x\.y", [1]),
        (".spec.map.*", [1]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type=='Ready')].status", ["True"]),
        ('.status.conditions[?(@.type!="Ready")].status', []),
        (".spec.list[?(@.n==2)].name", ["b"]),
        ("$.spec.on", [True]),
        ("{.spec.on}", [True]),
        (".none.at.all", []),
    ],
)
def test_json_paths_find(path: str, found: list[Any]) -> None:
    assert jsonpath.find(path, THING) == found


@pytest.mark.parametrize("storage", [resource.storage for resource in builtin_resources() if "list" in resource.verbs])
def test_every_built_in_kind_has_a_cell_for_each_column(storage: str) -> None:
    columns, cells = printer(storage)
    bare = {"metadata": {"name": "a"}, "spec": {}, "roleRef": {"kind": "Role", "name": "r"}}
    assert len(cells(bare)) == len(columns)
