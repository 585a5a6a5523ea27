"""What goes with its owner, what waits, what stays; and namespaces, which go when nothing is left in them."""

from __future__ import annotations

import json

from meshlab.kube.objects import CONFIG_MAP, CRD, DEPLOYMENT, NAMESPACE, POD, REPLICA_SET

DEPLOYMENT_YAML = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: "meshlab:latest", command: [sleep, "600"]}]
"""


def config_map(name, *owners, finalizers=()):
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        | ({"blockOwnerDeletion": True} if owner.get("blocked") else {})
        for owner in owners
    ]
    metadata = {"name": name, "ownerReferences": references, "finalizers": list(finalizers)}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


async def names(corner):
    return {obj["metadata"]["name"] for obj in await corner.list(CONFIG_MAP)} - {"kube-root-ca.crt"}


def left(corner, *wanted):
    async def check():
        return await names(corner) == set(wanted)

    return check


async def deploy(corner):
    await corner.apply(DEPLOYMENT_YAML)

    async def has_pod():
        return await corner.list(POD)

    await corner.eventually(has_pod)


async def test_in_the_background_everything_owned_goes(corner):
    await deploy(corner)
    await corner.kube.delete(DEPLOYMENT, "web", corner.namespace)

    async def nothing():
        return not await corner.list(REPLICA_SET) and not await corner.list(POD)

    await corner.eventually(nothing)


async def test_in_the_foreground_the_owner_waits_for_its_dependents(corner):
    await deploy(corner)
    [pod] = await corner.list(POD)
    await corner.patch(POD, pod["metadata"]["name"], {"metadata": {"finalizers": ["example.com/hold"]}})
    await corner.kube.delete(DEPLOYMENT, "web", corner.namespace, propagation="Foreground")

    async def pod_is_leaving():
        return (await corner.get(POD, pod["metadata"]["name"]))["metadata"].get("deletionTimestamp")

    await corner.eventually(pod_is_leaving)
    assert (await corner.get(DEPLOYMENT, "web"))["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert await corner.list(REPLICA_SET)
    await corner.patch(POD, pod["metadata"]["name"], {"metadata": {"finalizers": None}})

    async def gone():
        return not await corner.list(DEPLOYMENT) and not await corner.list(REPLICA_SET)

    await corner.eventually(gone)


async def test_an_orphan_stays_and_is_adopted_again(corner):
    await deploy(corner)
    [pod] = await corner.list(POD)
    await corner.kube.delete(DEPLOYMENT, "web", corner.namespace, propagation="Orphan")

    async def orphaned():
        sets = await corner.list(REPLICA_SET)
        return not await corner.list(DEPLOYMENT) and [one for one in sets if not one["metadata"].get("ownerReferences")]

    await corner.eventually(orphaned)
    await corner.apply(DEPLOYMENT_YAML)

    async def adopted():
        return [one for one in await corner.list(REPLICA_SET) if one["metadata"].get("ownerReferences")]

    await corner.eventually(adopted)
    assert [found["metadata"]["uid"] for found in await corner.list(POD)] == [pod["metadata"]["uid"]]


async def test_with_one_of_two_owners_left_it_stays(corner):
    [one] = await corner.apply(config_map("one"))
    [two] = await corner.apply(config_map("two"))
    await corner.apply(config_map("child", one, two))
    await corner.kube.delete(CONFIG_MAP, "one", corner.namespace)

    async def has_one_owner():
        child = await corner.get(CONFIG_MAP, "child")
        return [ref["name"] for ref in child["metadata"]["ownerReferences"]] == ["two"]

    await corner.eventually(has_one_owner)
    await corner.kube.delete(CONFIG_MAP, "two", corner.namespace)
    await corner.eventually(left(corner))


async def test_what_names_an_owner_that_never_was_goes(corner):
    ghost = {"metadata": {"name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}}
    await corner.apply(config_map("child", ghost))
    await corner.eventually(left(corner))


async def test_objects_of_a_custom_kind_are_collected_too(corner):
    group = f"{corner.namespace}.example.com"
    await corner.kube.create(
        {
            "apiVersion": CRD.api_version,
            "kind": CRD.kind,
            "metadata": {"name": f"things.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"plural": "things", "kind": "Thing"},
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
                ],
            },
        }
    )

    async def established():
        rows = (await corner.kube.get(CRD, f"things.{group}")).get("status", {}).get("conditions") or []
        return any(row["type"] == "Established" and row["status"] == "True" for row in rows)

    await corner.eventually(established)
    [owner] = await corner.apply(config_map("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "a", "ownerReferences": [reference]}}
    await corner.apply(json.dumps(thing))
    kind = await corner.kube.kind_of(thing)
    await corner.kube.delete(CONFIG_MAP, "owner", corner.namespace)

    async def collected():
        return not await corner.list(kind)

    await corner.eventually(collected)
    await corner.kube.delete(CRD, f"things.{group}")


async def test_a_namespace_goes_when_its_last_finalizer_has_gone(corner):
    await deploy(corner)
    await corner.apply(config_map("held", finalizers=["example.com/hold"]))
    await corner.kube.delete(NAMESPACE, corner.namespace)

    async def says_why():
        namespace = await corner.kube.get(NAMESPACE, corner.namespace)
        rows = {row["type"]: row["message"] for row in namespace["status"].get("conditions") or []}
        return "example.com/hold" in rows.get("NamespaceFinalizersRemaining", "")

    await corner.eventually(says_why)
    assert not await corner.list(POD)
    await corner.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": None}})

    async def gone():
        return await corner.kube.find(NAMESPACE, corner.namespace) is None

    await corner.eventually(gone)
