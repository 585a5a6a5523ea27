"""Who may do what: anonymous, impersonated and service-account users, roles, and the kinds that ask about them."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import aiohttp
import pytest

from .conftest import Server
from .waiting import until

REVIEWS = "/apis/authorization.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"


async def anonymously(server: Server, path: str, **headers: str) -> tuple[int, Any]:
    """A request without the administrator's credentials."""
    connector = aiohttp.TCPConnector(ssl=False)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(server.url + path, headers=headers) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text) if text.startswith("{") else text


async def as_user(server: Server, path: str, user: str = "bob", **groups: str) -> tuple[int, str]:
    answer = await server.ask("GET", path, **{"Impersonate-User": user, **groups})
    return answer.status, answer.body.get("message", "") if isinstance(answer.body, dict) else answer.body


async def test_anonymous_sees_the_version_and_health_only(server: Server, namespace: str) -> None:
    assert (await anonymously(server, "/version"))[0] == 200
    assert await anonymously(server, "/healthz") == (200, "ok")
    status, body = await anonymously(server, f"/api/v1/namespaces/{namespace}/pods")
    assert (status, body["reason"], body["details"]) == (403, "Forbidden", {"kind": "pods"})
    assert body["message"] == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
        f'in the namespace "{namespace}"'
    )
    assert (await anonymously(server, "/api"))[1]["message"] == (
        'forbidden: User "system:anonymous" cannot get path "/api"'
    )


async def test_a_token_nobody_signed_is_unauthorized(server: Server) -> None:
    for token in ("x", "a.b.c", "e30.e30.e30"):
        status, body = await anonymously(server, "/api", Authorization=f"Bearer {token}")
        assert (status, body["reason"], body["message"]) == (401, "Unauthorized", "Unauthorized")


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (
            "/apis/apps/v1/deployments/x",
            'deployments.apps "x" is forbidden: {} get resource "deployments" in API group "apps" at the cluster scope',
        ),
        (
            "/api/v1/namespaces/y/pods/x/log",
            'pods "x" is forbidden: {} get resource "pods/log" in API group "" in the namespace "y"',
        ),
        (
            "/api/v1/nodes?watch=true",
            'nodes is forbidden: {} watch resource "nodes" in API group "" at the cluster scope',
        ),
        ("/metrics", 'forbidden: {} get path "/metrics"'),
    ],
)
async def test_a_refusal_names_user_verb_resource_and_place(server: Server, path: str, what: str) -> None:
    assert await as_user(server, path) == (403, what.format('User "bob" cannot'))


async def test_any_user_may_discover_and_ask_about_themselves(server: Server) -> None:
    for path in ("/api", "/apis", "/api/v1", "/apis/apps/v1", "/openapi/v3", "/version"):
        assert (await as_user(server, path))[0] == 200


async def test_a_role_allows_what_it_says_where_it_is_bound(server: Server, namespace: str) -> None:
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["one"]},
    ]
    await server.made(f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": "reader"}, "rules": rules})
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}],
    }
    await server.made(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)
    here = f"/api/v1/namespaces/{namespace}"
    readers = {"Impersonate-Group": "readers"}
    assert (await as_user(server, f"{here}/configmaps", **readers))[0] == 200
    assert (await as_user(server, f"{here}/configmaps", user="eve"))[0] == 403
    assert (await as_user(server, "/api/v1/configmaps", **readers))[0] == 403
    assert (await as_user(server, f"{here}/configmaps?watch=true", **readers))[0] == 403
    assert (await as_user(server, f"{here}/secrets/one", **readers))[0] == 404
    assert (await as_user(server, f"{here}/secrets/two", **readers))[0] == 403


async def test_a_binding_to_a_role_that_is_not_there_is_told(server: Server, namespace: str) -> None:
    binding = {
        "metadata": {"name": "lost"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "none-such"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}],
    }
    await server.made(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)
    _, message = await as_user(server, f"/api/v1/namespaces/{namespace}/pods")
    assert message.endswith(': RBAC: clusterrole.rbac.authorization.k8s.io "none-such" not found')


async def test_view_sees_everything_but_secrets(server: Server, namespace: str) -> None:
    binding = {
        "metadata": {"name": "viewer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "viewer", "namespace": namespace}],
    }
    await server.made(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)
    viewer = f"system:serviceaccount:{namespace}:viewer"
    here = f"/namespaces/{namespace}"
    if server.name == "embedded":  # a real server's roles are aggregated by a controller, which the oracle hasn't
        assert (await as_user(server, f"/apis/apps/v1{here}/deployments", viewer))[0] == 200
    assert (await as_user(server, f"/api/v1{here}/secrets", viewer))[0] == 403


async def test_access_reviews_answer_for_oneself_and_for_others(server: Server, namespace: str) -> None:
    asked = {"verb": "list", "resource": "pods", "namespace": namespace}
    mine = await server.post(f"{REVIEWS}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": asked}})
    assert (mine.status, mine.body["status"]["allowed"]) == (201, True)
    spec = {"resourceAttributes": asked, "user": "bob", "groups": ["x"]}
    theirs = await server.post(f"{REVIEWS}/subjectaccessreviews", {"spec": spec})
    assert theirs.body["status"] == {"allowed": False}
    path = {"spec": {"nonResourceAttributes": {"path": "/version", "verb": "get"}, "groups": ["system:authenticated"]}}
    assert (await server.post(f"{REVIEWS}/subjectaccessreviews", path)).body["status"]["allowed"] is True
    local = f"{REVIEWS}/namespaces/{namespace}/localsubjectaccessreviews"
    body = {"metadata": {"namespace": namespace}, "spec": spec}
    assert (await server.post(local, body)).body["status"] == {"allowed": False}


async def test_rules_review_lists_what_one_may_do(server: Server, namespace: str) -> None:
    answer = await server.post(f"{REVIEWS}/selfsubjectrulesreviews", {"spec": {"namespace": namespace}})
    assert {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} in answer.body["status"]["resourceRules"]
    assert {"verbs": ["*"], "nonResourceURLs": ["*"]} in answer.body["status"]["nonResourceRules"]


async def test_only_who_may_impersonate_does(server: Server, namespace: str) -> None:
    token = await _token(server, namespace)
    status, body = await anonymously(
        server, "/version", **{"Authorization": f"Bearer {token}", "Impersonate-User": "admin"}
    )
    user = f"system:serviceaccount:{namespace}:default"
    refusal = f'User "{user}" cannot impersonate resource "users" in API group "" at the cluster scope'
    assert (status, body["message"]) == (403, f'users "admin" is forbidden: {refusal}')


async def test_who_am_i(server: Server) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = await server.ask("POST", path, {}, **{"Impersonate-User": "bob", "Impersonate-Group": "friends"})
    assert answer.body["status"]["userInfo"] == {"username": "bob", "groups": ["friends", "system:authenticated"]}


async def _token(server: Server, namespace: str, **spec: Any) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    answer = await server.post(path, {"spec": spec})
    assert answer.status == 201, answer.body
    return answer.body["status"]["token"]


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def test_a_service_account_s_token_says_who_it_is(server: Server, namespace: str) -> None:
    account = (await server.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")).body
    token = await _token(server, namespace)
    said = claims(token)
    assert said["sub"] == f"system:serviceaccount:{namespace}:default"
    assert said["kubernetes.io"] == {
        "namespace": namespace,
        "serviceaccount": {"name": "default", "uid": account["metadata"]["uid"]},
    }
    assert (said["exp"] - said["iat"], said["nbf"]) == (3600, said["iat"])
    status, body = await anonymously(server, "/api/v1/nodes", Authorization=f"Bearer {token}")
    assert status == 403
    assert f'User "system:serviceaccount:{namespace}:default" cannot list' in body["message"]


async def test_a_token_review_tells_whose_token_it_is_and_for_whom(server: Server, namespace: str) -> None:
    token = await _token(server, namespace, audiences=["meshlab"], expirationSeconds=600)
    review = await server.post(TOKENS, {"spec": {"token": token, "audiences": ["meshlab", "other"]}})
    status = review.body["status"]
    assert (review.status, status["authenticated"], status["audiences"]) == (201, True, ["meshlab"])
    assert status["user"]["username"] == f"system:serviceaccount:{namespace}:default"
    assert status["user"]["groups"] == [
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
        "system:authenticated",
    ]
    assert status["user"]["extra"] == {"authentication.kubernetes.io/credential-id": [f"JTI={claims(token)['jti']}"]}
    wrong = (await server.post(TOKENS, {"spec": {"token": token, "audiences": ["other"]}})).body["status"]
    assert "authenticated" not in wrong
    assert wrong["error"] == (
        '[invalid bearer token, token audiences ["meshlab"] is invalid for the target audiences ["other"]]'
    )
    assert (await server.post(TOKENS, {"spec": {"token": "x"}})).body["status"] == {
        "user": {},
        "error": "invalid bearer token",
    }


async def test_a_token_for_another_audience_opens_nothing_here(server: Server, namespace: str) -> None:
    token = await _token(server, namespace, audiences=["meshlab"])
    assert (await anonymously(server, "/api", Authorization=f"Bearer {token}"))[0] == 401


async def test_a_token_ends_with_its_account(server: Server, namespace: str) -> None:
    if server.name == "real":
        pytest.skip("a real server believes a token for ten seconds more")
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    name = f"a-{uuid.uuid4().hex[:6]}"
    await server.made(accounts, {"metadata": {"name": name}})
    token = (await server.post(f"{accounts}/{name}/token", {"spec": {}})).body["status"]["token"]
    assert (await anonymously(server, "/api", Authorization=f"Bearer {token}"))[0] == 200
    await server.delete(f"{accounts}/{name}")
    await server.made(accounts, {"metadata": {"name": name}})

    async def is_refused() -> bool:
        return "authenticated" not in (await server.post(TOKENS, {"spec": {"token": token}})).body["status"]

    await until(is_refused)


async def test_a_token_bound_to_a_pod_ends_with_it(server: Server, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"serviceAccountName": "default", "containers": [{"name": "c", "image": "i"}]}
    pod = await server.made(pods, {"metadata": {"name": "p"}, "spec": spec})
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": pod["metadata"]["uid"]}
    token = await _token(server, namespace, boundObjectRef=bound)
    assert claims(token)["kubernetes.io"]["pod"] == {"name": "p", "uid": pod["metadata"]["uid"]}
    extra = (await server.post(TOKENS, {"spec": {"token": token}})).body["status"]["user"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["p"]
    await server.delete(pods + "/p")
    if server.name == "real":
        return  # a real server believes it for ten seconds more

    async def is_refused() -> bool:
        return "authenticated" not in (await server.post(TOKENS, {"spec": {"token": token}})).body["status"]

    await until(is_refused)


@pytest.mark.parametrize(
    ("spec", "status", "message"),
    [
        ({"expirationSeconds": 60}, 422, "may not specify a duration less than 10 minutes"),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "none"}}, 404, 'pods "none" not found'),
    ],
)
async def test_a_token_that_can_not_be_had_is_refused(
    server: Server, namespace: str, spec: dict[str, Any], status: int, message: str
) -> None:
    answer = await server.post(f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", {"spec": spec})
    assert answer.status == status
    assert message in answer.message
