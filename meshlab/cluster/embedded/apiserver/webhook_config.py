"""Is a webhook configuration one that can be obeyed? Its defaults, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from meshlab.cluster.embedded.apiserver.status import (
    Cause,
    forbidden_field,
    invalid_value,
    required,
    unsupported_value,
)

COLLECTIONS = frozenset({
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
})  # fmt: skip

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?){2,}")
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_VERSIONS = ("v1", "v1beta1")
_DEFAULTS = {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10}


def problems(configuration: Mapping[str, Any]) -> list[Cause]:
    """What is wrong, if anything."""
    webhooks = enumerate(configuration.get("webhooks") or [])
    return [cause for index, webhook in webhooks for cause in _problems(webhook, f"webhooks[{index}]")]


def complete(configuration: dict[str, Any]) -> None:
    """Fill in defaults."""
    mutating = configuration.get("kind") == "MutatingWebhookConfiguration"
    for webhook in configuration.get("webhooks") or []:
        for key, value in _DEFAULTS.items():
            webhook.setdefault(key, value)
        for key in ("namespaceSelector", "objectSelector"):
            webhook.setdefault(key, {})
        if mutating:
            webhook.setdefault("reinvocationPolicy", "Never")
        for rule in webhook.get("rules") or []:
            rule.setdefault("scope", "*")
        service = (webhook.get("clientConfig") or {}).get("service")
        if service:
            service.setdefault("port", 443)


def _problems(webhook: Mapping[str, Any], path: str) -> Iterator[Cause]:
    name = webhook.get("name", "")
    if not _NAME.fullmatch(name):
        rule = "should be a domain with at least three segments separated by dots"
        yield invalid_value(f"{path}.name", name, rule)
    for index, rule_ in enumerate(webhook.get("rules") or []):
        yield from _rule(rule_, f"{path}.rules[{index}]")
    yield from _one_of(webhook, path, "failurePolicy", ("Fail", "Ignore"))
    yield from _one_of(webhook, path, "matchPolicy", ("Equivalent", "Exact"))
    if not webhook.get("sideEffects"):
        yield required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun")
    else:
        yield from _one_of(webhook, path, "sideEffects", ("None", "NoneOnDryRun"))
    seconds = webhook["timeoutSeconds"]
    if not 1 <= seconds <= 30:
        yield invalid_value(f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
    yield from _client(webhook.get("clientConfig") or {}, f"{path}.clientConfig")
    versions = webhook.get("admissionReviewVersions") or []
    if not versions:
        yield required(f"{path}.admissionReviewVersions", f"must specify one of {', '.join(_VERSIONS)}")
    elif "v1" not in versions:
        yield invalid_value(f"{path}.admissionReviewVersions", versions, "must include at least one of v1, v1beta1")
    if webhook.get("matchConditions"):
        reason = "CEL isn't evaluated by the embedded cluster; use rules and selectors, or a cluster of kind"
        yield forbidden_field(f"{path}.matchConditions", reason)


def _rule(rule: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for index, operation in enumerate(rule.get("operations") or []):
        if operation not in _OPERATIONS:
            yield unsupported_value(f"{path}.operations[{index}]", operation, _OPERATIONS)
    for key in ("operations", "apiGroups", "apiVersions", "resources"):
        if not rule.get(key):
            yield required(f"{path}.{key}")
    for key, noun in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        found = rule.get(key) or []
        if "*" in found and len(found) > 1:
            yield invalid_value(f"{path}.{key}", found, f"if '*' is present, must not specify other {noun}")


def _client(client: Mapping[str, Any], path: str) -> Iterator[Cause]:
    url, service = client.get("url"), client.get("service")
    if bool(url) == bool(service):
        yield required(path, "exactly one of url or service is required")
    elif url and not url.startswith("https://"):
        scheme = url.partition(":")[0]
        rule = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
        yield invalid_value(f"{path}.url", scheme, rule)
    elif service:
        for key in ("name", "namespace"):
            if not service.get(key):
                yield required(f"{path}.service.{key}")


def _one_of(webhook: Mapping[str, Any], path: str, key: str, choices: tuple[str, ...]) -> Iterator[Cause]:
    if webhook.get(key) not in choices:
        yield unsupported_value(f"{path}.{key}", webhook.get(key), choices)
