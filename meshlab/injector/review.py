"""What does the API server get back for an AdmissionReview?"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jsonpatch

from meshlab.errors import MeshlabError
from meshlab.injector.decision import wants_sidecar
from meshlab.kube import Object
from meshlab.mesh.finding import Finding, Severity

_MOST_TOLD = 20
"""Findings in one answer; an API server would cut off thousands anyway. `meshlab lint` lists them all."""

Review = Mapping[str, Any]
"""An AdmissionReview of admission.k8s.io/v1, as its JSON."""


def mutate(review: Review, namespace: Object, inject: Callable[[Object], Object]) -> Object:
    """Answer a pod's creation: the pod as it is, or with a patch that adds what `inject` adds."""
    request = review["request"]
    pod: Object = copy.deepcopy(request["object"])
    pod.setdefault("kind", "Pod")
    # A pod made from a template is reviewed before it has a namespace, and often before it has a name.
    pod.setdefault("metadata", {}).setdefault("namespace", request.get("namespace", ""))
    try:
        verdict = wants_sidecar(pod, namespace)
        if not verdict.inject:
            return _response(review, allowed=True)
        injected = inject(copy.deepcopy(pod))
    except MeshlabError as error:
        return _response(review, allowed=False, message=str(error))
    patch = jsonpatch.make_patch(pod, injected).patch
    response = _response(review, allowed=True)
    response["response"] |= {
        "patchType": "JSONPatch",
        "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
    }
    return response


def validate(review: Review, findings: Iterable[Finding]) -> Object:
    """Answer a change of a policy object: refused if any finding is an error, warned of all others."""
    found = list(findings)
    errors = [str(finding) for finding in found if finding.severity is Severity.ERROR]
    warnings = [str(finding) for finding in found if finding.severity is Severity.WARNING]
    response = _response(review, allowed=not errors, message="\n".join(_first(errors)))
    if warnings:
        response["response"]["warnings"] = _first(warnings)
    return response


def _first(lines: list[str]) -> list[str]:
    left = len(lines) - _MOST_TOLD
    return lines if left <= 0 else [*lines[:_MOST_TOLD], f"{left} more like these; meshlab lint lists all"]


def _response(review: Review, *, allowed: bool, message: str = "") -> Object:
    response: dict[str, Any] = {"uid": review["request"]["uid"], "allowed": allowed}
    if message:
        response["status"] = {"code": 400, "reason": "Invalid", "message": message}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
