"""What every policy language must do, whichever it is: one suite for SMI, OSM and a fake of forty lines."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from meshlab.errors import codes
from meshlab.kube import Kind, Object
from meshlab.mesh.finding import Finding, Severity
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import Permission
from meshlab.policy import languages
from meshlab.policy.base import Facts, PolicyLanguage
from meshlab.policy.ingress import Ingresses
from meshlab.policy.osm import Osm
from meshlab.policy.overlay import Overlays
from meshlab.policy.smi import Smi

LETTER = Kind("letters.example.com/v1", "Letter", "letters")


class Letters:
    """A language of one kind: whoever is named in a Letter may call the one it is addressed to."""

    kinds = (LETTER,)
    refers_to = ()

    def crds(self) -> list[Object]:
        return [{"kind": "CustomResourceDefinition", "metadata": {"name": "letters.letters.example.com"}}]

    def read(self, objects: Iterable[Object]) -> Facts:
        permissions, findings = [], []
        for obj in objects:
            findings += (found := self.validate(obj, ()))
            if obj["kind"] == LETTER.kind and not found:
                to, sender = (Identity(*obj["spec"][part].split("/")) for part in ("to", "from"))
                permissions.append(Permission(obj["metadata"]["name"], to, frozenset({sender})))
        return Facts(tuple(permissions), findings=tuple(findings))

    def validate(self, obj: Object, others: Iterable[Object]) -> list[Finding]:
        if obj["kind"] != LETTER.kind or {"to", "from"} <= obj["spec"].keys():
            return []
        return [Finding("ML210", "Letter", "spec", "it names nobody", "write to and from")]


def broken(kind: Kind) -> Object:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": "x"},
        "spec": {"traffic": 1} if kind.kind == "MeshConfig" else {},
    }


@pytest.fixture(params=[Letters, Smi, Osm, Overlays])
def language(request) -> PolicyLanguage:
    return request.param()


def test_a_language_has_a_crd_for_every_kind_it_reads(language):
    named = {crd["metadata"]["name"] for crd in language.crds()}
    assert named == {f"{kind.plural}.{kind.group}" for kind in language.kinds}


def test_a_language_says_nothing_of_objects_it_does_not_know(language):
    stranger = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    assert language.validate(stranger, []) == []
    assert language.read([stranger]) == language.read([])


def test_an_object_with_an_error_states_no_fact_and_gets_a_finding(language):
    for kind in language.kinds:
        found = language.validate(broken(kind), [])
        assert any(finding.severity is Severity.ERROR for finding in found), kind
        facts = language.read([broken(kind)])
        assert facts.findings == tuple(found)
        assert (facts.permissions, facts.splits, facts.settings) == ((), (), language.read([]).settings)


def test_a_finding_names_code_object_field_and_cure(language):
    for kind in language.kinds:
        for finding in language.validate(broken(kind), []):
            assert finding.code in codes()
            assert finding.about.startswith(kind.kind)
            assert finding.field
            assert finding.what
            assert finding.cure


def test_every_language_is_found_by_entry_point():
    assert [type(language) for language in languages()] == [Ingresses, Osm, Overlays, Smi]
