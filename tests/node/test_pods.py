"""The life of a pod, as a process on this machine."""

from __future__ import annotations

import json
import os
import textwrap

import psutil
import pytest

from meshlab.kube.objects import CONFIG_MAP, POD, SECRET

NOT_ON_ORACLE = pytest.mark.skipif(
    bool(os.environ.get("MESHLAB_ORACLE_KUBECONFIG")), reason="a real API server asks its own kubelet for logs"
)


def pod(name, script, *, init=(), **spec):
    """A pod whose container `main` runs a shell script."""
    container = {"name": "main", "image": "meshlab:latest", "command": ["sh", "-c", script]}
    container |= spec.pop("main", {})
    inits = [
        {"name": f"init-{number}", "image": "meshlab:latest", "command": ["sh", "-c", text]}
        for number, text in enumerate(init)
    ]
    whole = {"terminationGracePeriodSeconds": 2, "containers": [container], "initContainers": inits, **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole})


async def said(corner, name, reason):
    return (await corner.events(name)).get(reason)


async def phase(corner, name, wanted):
    async def check():
        found = await corner.get(POD, name)
        return found if found["status"].get("phase") == wanted else None

    return await corner.eventually(check)


async def ran(corner, name, script, **spec):
    """The pod and what it wrote, after it has run to its end."""
    await corner.apply(pod(name, script, restartPolicy="Never", **spec))
    found = await phase(corner, name, "Succeeded")
    return found, await log_of(corner, name)


async def log_of(corner, name, **query):
    return await corner.kube.text(POD.path(corner.namespace, name, "log"), {"container": "main", **query})


def state(found, name="main"):
    rows = [*found["status"].get("containerStatuses", []), *found["status"].get("initContainerStatuses", [])]
    return next((row for row in rows if row["name"] == name), {"state": {}, "restartCount": 0})


def marked(uid):
    return [
        process.info["pid"]
        for process in psutil.process_iter(["pid", "environ"])
        if (process.info["environ"] or {}).get("MESHLAB_POD_UID") == uid
    ]


@NOT_ON_ORACLE
async def test_init_containers_run_in_order_before_the_others_and_share_volumes(corner):
    shared = {"volumeMounts": [{"name": "work", "mountPath": "/work"}]}
    script = "cat $MESHLAB_CONTAINER_ROOT/work/*"
    spec = json.loads(pod("ordered", script, init=["sleep 0.2; echo first > work/a", "echo second > work/b"]))
    spec["spec"] |= {"restartPolicy": "Never", "volumes": [{"name": "work", "emptyDir": {}}]}
    for container in [*spec["spec"]["initContainers"], *spec["spec"]["containers"]]:
        container.update(shared)
    await corner.apply(json.dumps(spec))
    found = await phase(corner, "ordered", "Succeeded")
    assert await log_of(corner, "ordered") == "first\nsecond\n"
    conditions = {row["type"]: row["status"] for row in found["status"]["conditions"]}
    assert conditions == {
        "PodReadyToStartContainers": "False",
        "PodScheduled": "True",
        "Initialized": "True",
        "ContainersReady": "False",
        "Ready": "False",
    }
    assert state(found, "init-0")["state"]["terminated"]["reason"] == "Completed"


async def test_a_failed_init_container_fails_a_pod_that_is_not_restarted(corner):
    await corner.apply(pod("broken", "echo never", init=["exit 7"], restartPolicy="Never"))
    found = await phase(corner, "broken", "Failed")
    assert state(found, "init-0")["state"]["terminated"]["exitCode"] == 7
    assert "waiting" in state(found)["state"]


@pytest.mark.parametrize(
    ("script", "code", "reason"), [("exit 3", 3, "Error"), ("kill -9 $$$$", 137, "Error"), ("true", 0, "Completed")]
)
async def test_the_exit_code_is_told(corner, script, code, reason):
    await corner.apply(pod("ends", script, restartPolicy="Never"))
    found = await phase(corner, "ends", "Failed" if code else "Succeeded")
    ended = state(found)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (code, reason)


async def test_a_program_that_is_not_there_is_a_start_error(corner):
    await corner.apply(pod("typo", "", main={"command": ["no-such-program"]}, restartPolicy="Never"))
    ended = state(await phase(corner, "typo", "Failed"))["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert ended["message"] == 'exec: "no-such-program": executable file not found in $PATH'


async def test_a_container_that_fails_is_restarted_at_once_and_then_backs_off(corner):
    await corner.apply(pod("crashes", "echo $$$$; exit 1"))

    async def backs_off():
        row = state(await corner.get(POD, "crashes"))
        return row if row["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff" else None

    row = await corner.eventually(backs_off)
    assert row["restartCount"] == 1
    assert row["lastState"]["terminated"]["exitCode"] == 1
    assert row["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container=main pod=crashes_")
    assert (await corner.get(POD, "crashes"))["status"]["phase"] == "Running"
    await corner.eventually(lambda: said(corner, "crashes", "BackOff"))
    if not os.environ.get("MESHLAB_ORACLE_KUBECONFIG"):
        assert await log_of(corner, "crashes") != await log_of(corner, "crashes", previous="true")


async def test_on_failure_means_until_it_works(corner):
    script = "test -e v/x || { touch v/x; exit 1; }"
    main = {"command": ["sh", "-c", script], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    volumes = [{"name": "v", "emptyDir": {}}]
    await corner.apply(pod("second-try", "", main=main, volumes=volumes, restartPolicy="OnFailure"))
    assert state(await phase(corner, "second-try", "Succeeded"))["restartCount"] == 1


async def test_another_image_cannot_be_pulled_and_the_event_names_kind(corner):
    await corner.apply(pod("foreign", "", main={"image": "nginx:1.27"}))

    async def refused():
        rows = (await corner.get(POD, "foreign"))["status"].get("containerStatuses") or [{}]
        return (rows[0].get("state") or {}).get("waiting", {}).get("reason") == "ErrImagePull"

    await corner.eventually(refused)
    message = state(await corner.get(POD, "foreign"))["state"]["waiting"]["message"]
    assert 'image "nginx:1.27"' in message
    assert "meshlab up --cluster kind" in message

    assert await corner.eventually(lambda: said(corner, "foreign", "Failed"))


@NOT_ON_ORACLE
async def test_variables_come_from_everywhere(corner):
    await corner.apply(
        textwrap.dedent("""
        {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {COLOUR: blue, size: "4"}}
        ---
        {apiVersion: v1, kind: Secret, metadata: {name: keys}, stringData: {password: swordfish}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: book-store}
        spec: {selector: {app: none}, ports: [{name: web, port: 14001}]}
        """)
    )
    env = [
        {"name": "LITERAL", "value": "$(COLOUR)-$(POD)"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "AGAIN", "value": "$(POD)"},
        {"name": "SIZE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "size"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        {"name": "NOTHING", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    main = {
        "env": env,
        "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "CM_"}, {"configMapRef": {"name": "settings"}}],
    }
    found, text = await ran(corner, "env", "", main={**main, "command": ["env"]})
    variables = dict(line.split("=", 1) for line in text.splitlines())
    assert variables["LITERAL"] == "blue-$(POD)"
    assert variables["AGAIN"] == variables["POD"] == variables["HOSTNAME"] == "env"
    assert (variables["SIZE"], variables["PASSWORD"], variables["CM_COLOUR"]) == ("4", "swordfish", "blue")
    assert "NOTHING" not in variables
    assert variables["IP"] == variables["BIND_ADDRESS"] == found["status"]["podIP"]
    assert variables["BOOK_STORE_SERVICE_PORT_WEB"] == "14001"
    assert variables["BOOK_STORE_PORT"] == f"tcp://{variables['BOOK_STORE_SERVICE_HOST']}:14001"
    assert corner.kube.url == f"https://{variables['KUBERNETES_SERVICE_HOST']}:{variables['KUBERNETES_SERVICE_PORT']}"


async def test_a_missing_config_map_is_waited_for(corner):
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "a"}}}]
    await corner.apply(
        pod(
            "waits",
            'test "$A" = there',
            main={"env": env, "command": ["sh", "-c", 'test "$A" = there']},
            restartPolicy="Never",
        )
    )

    async def complains():
        rows = (await corner.get(POD, "waits"))["status"].get("containerStatuses") or [{}]
        return (rows[0].get("state") or {}).get("waiting", {}).get("message") == 'configmap "late" not found'

    await corner.eventually(complains)
    await corner.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: late}, data: {a: there}}")
    await phase(corner, "waits", "Succeeded")


async def test_files_change_with_their_source_all_at_once(corner):
    await corner.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: files}, data: {a: one, b: one}}")
    script = (
        "cd etc; ls -l a > /dev/null; until test $(cat a) = two; do sleep 0.02; done; test $(cat b) = two; test ! -e c"
    )
    volumes = [{"name": "v", "configMap": {"name": "files", "defaultMode": 0o600}}]
    mounts = [{"name": "v", "mountPath": "/etc"}]
    await corner.apply(
        pod(
            "reads",
            "",
            main={"command": ["sh", "-ec", script], "volumeMounts": mounts},
            volumes=volumes,
            restartPolicy="Never",
        )
    )
    await phase(corner, "reads", "Running")
    await corner.patch(CONFIG_MAP, "files", {"data": {"a": "two", "b": "two"}})
    await phase(corner, "reads", "Succeeded")


@NOT_ON_ORACLE
async def test_a_projected_volume_holds_tokens_secrets_and_the_downward_api(corner):
    await corner.kube.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "keys", "namespace": corner.namespace},
            "stringData": {"key": "swordfish"},
        }
    )
    sources = [
        {"serviceAccountToken": {"path": "token", "audience": "meshlab", "expirationSeconds": 600}},
        {"secret": {"name": "keys", "items": [{"key": "key", "path": "deep/down/key", "mode": 0o400}]}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    script = "cd var/run/secrets/x; cat token; echo; cat deep/down/key; stat -L -c ' %a' deep/down/key"
    main = {"command": ["sh", "-c", script], "volumeMounts": [{"name": "v", "mountPath": "/var/run/secrets/x"}]}
    volumes = [{"name": "v", "projected": {"sources": sources}}]
    _, text = await ran(corner, "projected", "", main=main, volumes=volumes)
    token, key = text.splitlines()
    assert key == "swordfish 400"
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": ["meshlab"]},
    }
    status = (await corner.kube.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body=review))["status"]
    assert status["authenticated"]
    assert status["user"]["username"] == f"system:serviceaccount:{corner.namespace}:default"
    assert status["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["projected"]
    assert await corner.get(SECRET, "keys")


@NOT_ON_ORACLE
async def test_a_program_in_a_pod_speaks_to_the_api_as_its_account(corner):
    script = """
import asyncio
from meshlab.kube import Kube
async def main():
    async with Kube.in_cluster() as kube:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = await kube.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review)
        print(answer["status"]["userInfo"]["username"])
asyncio.run(main())
"""
    _, text = await ran(corner, "client", "", main={"command": ["python", "-c", script]})
    assert text == f"system:serviceaccount:{corner.namespace}:default\n"


async def test_a_volume_that_cannot_be_offered_is_refused_with_words(corner):
    volumes = [{"name": "v", "nfs": {"server": "x", "path": "/"}}]
    await corner.apply(pod("nfs", "true", volumes=volumes))

    async def refused():
        rows = (await corner.get(POD, "nfs"))["status"].get("containerStatuses") or [{}]
        return (rows[0].get("state") or {}).get("waiting", {}).get("reason") == "UnsupportedVolume"

    await corner.eventually(refused)

    assert "is of kind nfs" in await corner.eventually(lambda: said(corner, "nfs", "UnsupportedVolume"))


async def test_what_is_not_enforced_is_said_in_an_event(corner):
    await corner.apply(pod("limited", "true", main={"resources": {"limits": {"cpu": "1"}}}, restartPolicy="Never"))

    message = await corner.eventually(lambda: said(corner, "limited", "NotEnforced"))
    assert "containers[main].resources.limits" in message


async def test_a_container_that_is_not_alive_is_restarted(corner):
    probe = {"exec": {"command": ["test", "-e", "alive"]}, "periodSeconds": 1, "failureThreshold": 2}
    await corner.apply(pod("dies", "", main={"command": ["sleep", "600"], "livenessProbe": probe}))

    async def restarted():
        row = state(await corner.get(POD, "dies"))
        return row if row["restartCount"] else None

    await corner.eventually(restarted)

    message = await corner.eventually(lambda: said(corner, "dies", "Killing"))
    assert message == "Container main failed liveness probe, will be restarted"
    assert await corner.eventually(lambda: said(corner, "dies", "Unhealthy"))


SERVER = """
import http.server, os
handler = http.server.SimpleHTTPRequestHandler
http.server.HTTPServer((os.environ["BIND_ADDRESS"], 8080), handler).serve_forever()
"""


async def test_ready_follows_the_probe_both_ways(corner):
    probe = {"httpGet": {"path": "/flags/flag", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    main = {
        "command": ["python", "-c", SERVER],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": probe,
    }
    volumes = [{"name": "v", "configMap": {"name": "flag", "optional": True}}]
    main["volumeMounts"] = [{"name": "v", "mountPath": "/flags"}]
    await corner.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: flag}, data: {flag: up}}")
    await corner.apply(pod("serves", "", main=main, volumes=volumes))

    def is_ready(wanted):
        async def check():
            rows = (await corner.get(POD, "serves"))["status"].get("conditions") or []
            return {row["type"]: row["status"] for row in rows}.get("Ready") == wanted

        return check

    await corner.eventually(is_ready("True"))
    await corner.patch(CONFIG_MAP, "flag", {"data": {"flag": None}})
    await corner.eventually(is_ready("False"))
    await corner.patch(CONFIG_MAP, "flag", {"data": {"flag": "up"}})
    await corner.eventually(is_ready("True"))


async def test_a_startup_probe_holds_the_others_back(corner):
    startup = {"exec": {"command": ["test", "-e", "up"]}, "periodSeconds": 1, "failureThreshold": 30}
    liveness = {"exec": {"command": ["test", "-e", "up"]}, "periodSeconds": 1, "failureThreshold": 1}
    main = {"command": ["sh", "-c", "sleep 2; touch up; sleep 600"], "startupProbe": startup, "livenessProbe": liveness}
    await corner.apply(pod("slow", "", main=main))

    async def started():
        rows = (await corner.get(POD, "slow"))["status"].get("containerStatuses") or [{}]
        return rows[0] if rows[0].get("started") else None

    row = await corner.eventually(started)
    assert row["restartCount"] == 0


async def test_a_sidecar_starts_before_and_ends_after_the_others(corner):
    spec = json.loads(
        pod("with-sidecar", "sleep 0.2", init=["trap 'exit 0' TERM; sleep 600 & wait"], restartPolicy="Never")
    )
    spec["spec"]["initContainers"][0]["restartPolicy"] = "Always"
    await corner.apply(json.dumps(spec))
    found = await phase(corner, "with-sidecar", "Succeeded")
    assert "terminated" in state(found, "init-0")["state"]


async def test_a_deleted_pod_gets_its_pre_stop_hook_then_sigterm_then_sigkill(corner, tmp_path):
    script = "trap 'echo term >> log/x' TERM; while true; do sleep 0.1; done"
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook >> log/x"]}}}
    main = {"command": ["sh", "-c", script], "lifecycle": hook, "volumeMounts": [{"name": "v", "mountPath": "/log"}]}
    volumes = [{"name": "v", "hostPath": {"path": str(tmp_path)}}]
    await corner.apply(pod("stubborn", "", main=main, volumes=volumes, terminationGracePeriodSeconds=1))
    found = await phase(corner, "stubborn", "Running")
    assert marked(found["metadata"]["uid"])
    await corner.kube.delete(POD, "stubborn", corner.namespace)

    async def gone():
        return await corner.kube.find(POD, "stubborn", corner.namespace) is None

    await corner.eventually(gone)
    assert (tmp_path / "x").read_text() == "hook\nterm\n"
    assert marked(found["metadata"]["uid"]) == []


async def test_nothing_a_pod_started_outlives_it(corner):
    script = "setsid sleep 601 & sleep 602 & (setsid sh -c 'sleep 603 & wait' &) ; sleep 604"
    await corner.apply(pod("family", script))
    found = await phase(corner, "family", "Running")
    uid = found["metadata"]["uid"]

    async def all_there():
        return len(marked(uid)) >= 5

    await corner.eventually(all_there)
    await corner.kube.delete(POD, "family", corner.namespace)

    async def gone():
        return await corner.kube.find(POD, "family", corner.namespace) is None

    await corner.eventually(gone)
    assert marked(uid) == []


@NOT_ON_ORACLE
async def test_logs_can_be_followed_while_they_are_written(corner):
    await corner.apply(pod("talks", "for i in 1 2 3; do echo $i; sleep 0.1; done", restartPolicy="Never"))
    await phase(corner, "talks", "Running")
    path = POD.path(corner.namespace, "talks", "log")
    assert [line async for line in corner.kube.lines(path, {"follow": "true"})] == [b"1\n", b"2\n", b"3\n"]
