"""MeshRootCertificate: which authorities does the mesh trust, and which of them signs?

As OSM has it: one or two are in use, at least one of them active. To change a root is to create another
MeshRootCertificate and to change roles; the control plane takes each step when all proxies have taken the one before.
"""

from __future__ import annotations

from typing import Any

from meshlab.kube import Object
from meshlab.kube.objects import MESH_ROOT_CERTIFICATE
from meshlab.mesh.identity import DEFAULT_TRUST_DOMAIN
from meshlab.mesh.root_certificate import Role, RootCertificate
from meshlab.policy.base import Facts
from meshlab.policy.objects import Objects, namespace_of
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape

KIND = MESH_ROOT_CERTIFICATE
CRD = "mesh-root-certificate"
NAMESPACE = "meshlab-system"

_MOST_IN_USE = 2


def validate(obj: Object, known: Objects, report: Report) -> None:
    """It is where meshlab looks, its authority is of a kind that meshlab has, and the roles fit together."""
    if not check_shape(obj, CRD, report):
        return
    if namespace_of(obj) != NAMESPACE:
        report.warning("ML411", "metadata.namespace", "no control plane looks there", f"create it in {NAMESPACE}")
        return
    _check_provider(obj["spec"]["provider"], report)
    _check_roles(obj, known, report)


def read(obj: Object, known: Objects) -> Facts:
    """The authority it stands for; nothing for one of another namespace."""
    del known
    if namespace_of(obj) != NAMESPACE:
        return Facts()
    provider = obj["spec"]["provider"]
    root = RootCertificate(
        name=obj["metadata"]["name"],
        role=_role(obj),
        trust_domain=_trust_domain(obj),
        secret=provider["tresor"]["ca"]["secretRef"]["name"] if "tresor" in provider else "",
        cert_manager=_issuer(provider["certManager"]) if "certManager" in provider else None,
    )
    return Facts(roots=(root,))


def write(root: RootCertificate) -> Object:
    """The object that says this of a root with a key pair in a Secret."""
    reference = {"name": root.secret, "namespace": NAMESPACE}
    return {
        "apiVersion": KIND.api_version,
        "kind": KIND.kind,
        "metadata": {"name": root.name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": "meshlab"}},
        "spec": {
            "role": str(root.role),
            "trustDomain": root.trust_domain,
            "provider": {"tresor": {"ca": {"secretRef": reference}}},
        },
    }


def _check_provider(provider: dict[str, Any], report: Report) -> None:
    if len(provider) != 1:
        what = f"it has {len(provider)} providers"
        report.error("ML412", "spec.provider", what, "write one: tresor (a key pair in a Secret) or certManager")
    elif "vault" in provider:
        what = "meshlab does not speak to Vault"
        cure = "have Vault sign an intermediate and bring it by tresor, or use cert-manager's Vault issuer"
        report.error("ML412", "spec.provider.vault", what, cure)
    elif "tresor" in provider and provider["tresor"]["ca"]["secretRef"].get("namespace", NAMESPACE) != NAMESPACE:
        what = "the control plane may read Secrets of its own namespace only"
        report.error("ML412", "spec.provider.tresor.ca.secretRef.namespace", what, f"write {NAMESPACE}")


def _check_roles(obj: Object, known: Objects, report: Report) -> None:
    roots = [root for root in known.of(KIND.kind) if namespace_of(root) == NAMESPACE and "spec" in root]
    in_use = [root for root in roots if _role(root) is not Role.INACTIVE]
    if not any(_role(root) is Role.ACTIVE for root in in_use):
        report.error("ML413", "spec.role", "then none is active, and nobody signs", "make another one active first")
    if len(in_use) > _MOST_IN_USE and _role(obj) is not Role.INACTIVE:
        names = ", ".join(root["metadata"].get("name", "") for root in in_use)
        what = f"then {len(in_use)} are in use ({names}); one can be replaced at a time"
        report.error("ML413", "spec.role", what, "let the oldest become inactive first")
    others = {_trust_domain(root) for root in in_use} - {_trust_domain(obj)}
    if others and _role(obj) is not Role.INACTIVE:
        what = f"it differs from that of the others, {', '.join(sorted(others))}: all would be somebody else"
        report.error("ML414", "spec.trustDomain", what, "write the same; another trust domain is another mesh")


def _role(obj: Object) -> Role:
    said = obj["spec"].get("role", Role.ACTIVE)
    return Role(said) if said in set(Role) else Role.INACTIVE


def _trust_domain(obj: Object) -> str:
    return str(obj["spec"].get("trustDomain") or DEFAULT_TRUST_DOMAIN)


def _issuer(reference: dict[str, Any]) -> tuple[str, str, str]:
    return (
        reference["issuerName"],
        reference.get("issuerKind", "Issuer"),
        reference.get("issuerGroup", "cert-manager.io"),
    )
