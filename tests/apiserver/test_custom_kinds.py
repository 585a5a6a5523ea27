"""Custom kinds: how a definition is judged, served and ended, and what its schema does to objects."""

from __future__ import annotations

import copy
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from .conftest import APPLY, MERGE, Answer, Server
from .waiting import until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"

SPEC = {
    "type": "object",
    "required": ["service"],
    "properties": {
        "service": {"type": "string", "minLength": 2, "maxLength": 8, "pattern": "^[a-z]+$"},
        "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
        "replicas": {"type": "integer", "format": "int32"},
        "ratio": {"type": "number", "minimum": 0, "maximum": 1, "exclusiveMaximum": True},
        "even": {"type": "integer", "multipleOf": 2},
        "requests": {"type": "integer", "minimum": 1},
        "port": {"x-kubernetes-int-or-string": True},
        "when": {"type": "string", "format": "date-time"},
        "address": {"type": "string", "format": "ipv4"},
        "data": {"type": "string", "format": "byte"},
        "empty": {"type": "string", "nullable": True},
        "enabled": {"type": "boolean"},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "maxProperties": 2,
            "minProperties": 1,
        },
        "backends": {
            "type": "array",
            "minItems": 1,
            "maxItems": 3,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["service"],
            "items": {
                "type": "object",
                "required": ["service"],
                "properties": {
                    "service": {"type": "string"},
                    "weight": {"type": "integer", "minimum": 0, "maximum": 100, "default": 1},
                },
            },
        },
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "one": {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
    },
}
STATUS = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer"},
        "selector": {"type": "string"},
        "conditions": {
            "type": "array",
            "items": {"type": "object", "properties": {"type": {"type": "string"}, "status": {"type": "string"}}},
        },
    },
}
COLUMNS = [
    {"name": "Service", "type": "string", "jsonPath": ".spec.service", "description": "who"},
    {"name": "Weight", "type": "integer", "jsonPath": ".spec.backends[0].weight", "priority": 1},
    {"name": "Names", "type": "string", "jsonPath": ".spec.backends[*].service"},
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
]


def definition(group: str, kind: str = "Thing", **schema: Any) -> dict[str, Any]:
    """A definition with one version, whose schema is an object with these keywords."""
    plural = f"{kind.lower()}s"
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", **schema}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [version],
        },
    }


def full_definition(group: str) -> dict[str, Any]:
    """A definition that uses everything: two versions, a schema, subresources, columns."""
    made = definition(group, required=["spec"], properties={"spec": SPEC, "status": STATUS})
    scale = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    first = made["spec"]["versions"][0]
    first |= {"subresources": {"status": {}, "scale": scale}, "additionalPrinterColumns": COLUMNS}
    second = {
        "name": "v2",
        "served": True,
        "storage": False,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    made["spec"]["versions"].append(second)
    made["spec"]["names"] |= {"shortNames": ["th"], "categories": ["all"]}
    return made


@dataclass
class Things:
    """A custom kind in a namespace."""

    server: Server
    group: str
    namespace: str

    @property
    def path(self) -> str:
        return self.at("v1")

    def at(self, version: str) -> str:
        return f"/apis/{self.group}/{version}/namespaces/{self.namespace}/things"

    def thing(self, name: str = "a", version: str = "v1", **spec: Any) -> dict[str, Any]:
        api_version = f"{self.group}/{version}"
        return {
            "apiVersion": api_version,
            "kind": "Thing",
            "metadata": {"name": name},
            "spec": {"service": "web", **spec},
        }

    async def create(self, **spec: Any) -> Answer:
        return await self.server.post(self.path, self.thing(**spec))


async def served(server: Server, path: str) -> None:
    """Return when a path is served: a real server takes a moment."""

    async def answers() -> bool:
        return (await server.get(path)).status == 200

    await until(answers)


@pytest.fixture
def group() -> str:
    return f"g{uuid.uuid4().hex[:8]}.dev"


@pytest.fixture
async def things(server: Server, namespace: str, group: str) -> AsyncIterator[Things]:
    made = await server.made(CRDS, full_definition(group))
    found = Things(server, group, namespace)
    await served(server, found.path)
    await served(server, found.at("v2"))
    yield found
    await server.delete(f"{CRDS}/{made['metadata']['name']}")


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"service": 5}, "spec.service", 'Invalid value: "integer": {} in body must be of type string: "integer"'),
        ({"service": "A"}, "spec.service", 'Invalid value: "A": {} in body should be at least 2 chars long'),
        ({"service": "ab1"}, "spec.service", "Invalid value: \"ab1\": {} in body should match '^[a-z]+$'"),
        ({"service": "abcdefghijk"}, "spec.service", "Too long: may not be more than 8 bytes"),
        ({"service": None}, "spec.service", "Required value"),
        ({"mode": "c"}, "spec.mode", 'Unsupported value: "c": supported values: "a", "b"'),
        ({"ratio": 1}, "spec.ratio", "Invalid value: 1: {} in body should be less than 1"),
        ({"ratio": -1}, "spec.ratio", "Invalid value: -1: {} in body should be greater than or equal to 0"),
        ({"even": 3}, "spec.even", "Invalid value: 3: {} in body should be a multiple of 2"),
        ({"requests": 0}, "spec.requests", "Invalid value: 0: {} in body should be greater than or equal to 1"),
        (
            {"backends": [{"service": "a", "weight": 1.5}]},
            "spec.backends[0].weight",
            'Invalid value: "number": {} in body must be of type integer: "number"',
        ),
        ({"port": []}, "spec.port", 'Invalid value: "array": {} in body must be of type integer,string: "array"'),
        ({"when": "soon"}, "spec.when", 'Invalid value: "soon": {} in body must be of type date-time: "soon"'),
        ({"address": "a.b"}, "spec.address", 'Invalid value: "a.b": {} in body must be of type ipv4: "a.b"'),
        ({"data": "%"}, "spec.data", 'Invalid value: "%": {} in body must be of type byte: "%"'),
        ({"enabled": "yes"}, "spec.enabled", 'Invalid value: "string": {} in body must be of type boolean: "string"'),
        ({"free": 3}, "spec.free", 'Invalid value: "integer": {} in body must be of type object: "integer"'),
        ({"labels": {}}, "spec.labels", "Invalid value: 0: {} in body should have at least 1 properties"),
        ({"labels": dict.fromkeys("abc", "x")}, "spec.labels", "Too many: 3: must have at most 2 items"),
        (
            {"labels": {"a": 1}},
            "spec.labels.a",
            'Invalid value: "integer": {} in body must be of type string: "integer"',
        ),
        ({"backends": []}, "spec.backends", "Invalid value: 0: {} in body should have at least 1 items"),
        ({"backends": [{"weight": 1}]}, "spec.backends[0].service", "Required value"),
        ({"backends": [None]}, "spec.backends[0]", 'Invalid value: "null": {} in body must be of type object: "null"'),
        (
            {"backends": [{"service": "a"}, {"service": "b", "weight": "x"}]},
            "spec.backends[1].weight",
            'Invalid value: "string": {} in body must be of type integer: "string"',
        ),
        (
            {"backends": [{"service": "a"}, {"service": "a"}]},
            "spec.backends[1]",
            'Duplicate value: {{"service":"a"}}',
        ),
        ({"tags": ["a", "b", "a"]}, "spec.tags[2]", 'Duplicate value: "a"'),
        (
            {"one": {"a": "a", "b": "b"}},
            "<nil>",
            'Invalid value: "": "spec.one" must validate one and only one schema (oneOf). Found 2 valid alternatives',
        ),
    ],
)
async def test_a_wrong_value_is_refused_by_field_and_reason(
    things: Things, spec: dict[str, Any], field: str, message: str
) -> None:
    answer = await things.create(**spec)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.causes == [(field, message.format(field))]
    assert answer.message == f'Thing.{things.group} "a" is invalid: {field}: {message.format(field)}'


async def test_every_wrong_value_is_told(things: Things) -> None:
    answer = await things.create(even=3, mode="c", tags=["a", "a"])
    assert {field for field, _ in answer.causes} == {"spec.even", "spec.mode", "spec.tags[1]"}


async def test_defaults_are_filled_in_and_nulls_dropped(things: Things) -> None:
    made = (await things.create(backends=[{"service": "a"}], mode=None, even=None, empty=None)).body
    assert made["spec"] == {"service": "web", "mode": "a", "backends": [{"service": "a", "weight": 1}], "empty": None}


async def test_unknown_fields_are_dropped_with_a_warning_or_refused(things: Things) -> None:
    thing = {**things.thing(colour="red", free={"any": 1}), "extra": 1}
    warned = await things.server.post(f"{things.path}?dryRun=All", thing)
    assert warned.body["spec"] == {"service": "web", "mode": "a", "free": {"any": 1}}
    assert "extra" not in warned.body
    told = warned.headers.getall("Warning")
    assert told == ['299 - "unknown field \\"extra\\""', '299 - "unknown field \\"spec.colour\\""']
    strict = await things.server.post(f"{things.path}?fieldValidation=Strict", thing)
    assert strict.status == 400
    assert strict.message == (
        'Thing in version "v1" cannot be handled as a Thing: strict decoding error: '
        'unknown field "extra", unknown field "spec.colour"'
    )
    ignored = await things.server.post(f"{things.path}?fieldValidation=Ignore&dryRun=All", thing)
    assert "Warning" not in ignored.headers


async def test_an_object_is_served_in_every_version(things: Things) -> None:
    await things.create()
    other = await things.server.get(f"{things.at('v2')}/a")
    assert other.body["apiVersion"] == f"{things.group}/v2"
    changed = await things.server.patch(f"{things.at('v2')}/a", {"spec": {"service": "other"}}, MERGE)
    assert changed.body["apiVersion"] == f"{things.group}/v2"
    assert (await things.server.get(f"{things.path}/a")).body["spec"]["service"] == "other"


async def test_status_has_a_path_of_its_own(things: Things) -> None:
    thing = {**things.thing(), "status": {"replicas": 5}}
    made = (await things.server.post(things.path, thing)).body
    assert "status" not in made
    made["status"] = {"replicas": 2}
    made["spec"]["service"] = "changed"
    updated = (await things.server.put(f"{things.path}/a/status", made)).body
    assert (updated["status"], updated["spec"]["service"]) == ({"replicas": 2}, "web")
    assert updated["metadata"]["generation"] == 1


async def test_scale_reads_and_writes_where_the_definition_says(things: Things) -> None:
    await things.create(replicas=1)
    await things.server.patch(f"{things.path}/a/status", {"status": {"replicas": 3, "selector": "app=web"}}, MERGE)
    scale = (await things.server.get(f"{things.path}/a/scale")).body
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale",
        {"replicas": 1},
        {"replicas": 3, "selector": "app=web"},
    )
    await things.server.patch(f"{things.path}/a/scale", {"spec": {"replicas": 4}}, MERGE)
    assert (await things.server.get(f"{things.path}/a")).body["spec"]["replicas"] == 4


async def test_columns_are_the_definition_s(things: Things) -> None:
    await things.create(backends=[{"service": "one", "weight": 3}, {"service": "two"}])
    conditions = [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]
    await things.server.patch(f"{things.path}/a/status", {"status": {"conditions": conditions}}, MERGE)
    table = (await things.server.get(things.path, TABLE)).body
    described = [(column["name"], column["type"], column["priority"]) for column in table["columnDefinitions"]]
    assert described == [
        ("Name", "string", 0),
        ("Service", "string", 0),
        ("Weight", "integer", 1),
        ("Names", "string", 0),
        ("Ready", "string", 0),
    ]
    assert table["rows"][0]["cells"] == ["a", "web", 3, "one", "True"]
    plain = (await things.server.get(things.at("v2"), TABLE)).body
    assert [column["name"] for column in plain["columnDefinitions"]] == ["Name", "Age"]


async def test_a_definition_tells_that_it_is_established(things: Things) -> None:
    crd = (await things.server.get(f"{CRDS}/things.{things.group}")).body
    told = {row["type"]: (row["status"], row["reason"]) for row in crd["status"]["conditions"]}
    assert told["NamesAccepted"] == ("True", "NoConflicts")
    assert told["Established"] == ("True", "InitialNamesAccepted")
    assert crd["status"]["storedVersions"] == ["v1"]
    names = {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"}
    assert crd["status"]["acceptedNames"] == {**names, "shortNames": ["th"], "categories": ["all"]}


async def test_a_name_that_is_taken_is_not_served(things: Things) -> None:
    other = definition(things.group, "Other")
    other["spec"]["names"] |= {"kind": "Thing", "listKind": "ThingList"}
    await things.server.made(CRDS, other)
    try:
        told: dict[str, str] = {}

        async def is_judged() -> bool:
            found = (await things.server.get(f"{CRDS}/others.{things.group}")).body
            told.update({row["type"]: row["status"] for row in found["status"].get("conditions") or ()})
            return "Established" in told

        await until(is_judged)
        assert told == {"NamesAccepted": "False", "Established": "False"}
        assert (await things.server.get(f"/apis/{things.group}/v1/others")).status == 404
    finally:
        await things.server.delete(f"{CRDS}/others.{things.group}")


async def test_a_deleted_definition_takes_its_objects_along(server: Server, namespace: str, group: str) -> None:
    await server.made(CRDS, definition(group))
    path = f"/apis/{group}/v1/namespaces/{namespace}/things"
    await served(server, path)
    await server.made(path, {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "a"}})
    assert (await server.delete(f"{CRDS}/things.{group}")).status == 200

    async def is_gone() -> bool:
        answers = [await server.get(where) for where in (f"{CRDS}/things.{group}", path)]
        return all(answer.status == 404 for answer in answers)

    await until(is_gone)
    await server.made(CRDS, definition(group))
    await served(server, path)
    assert (await server.get(path)).body["items"] == []
    await server.delete(f"{CRDS}/things.{group}")


async def test_a_version_that_is_no_longer_served_is_gone(things: Things) -> None:
    crd = (await things.server.get(f"{CRDS}/things.{things.group}")).body
    crd["spec"]["versions"][1]["served"] = False
    assert (await things.server.put(f"{CRDS}/things.{things.group}", crd)).status == 200

    async def is_gone() -> bool:
        return (await things.server.get(things.at("v2"))).status == 404

    async def others_are_there() -> bool:
        # a real server answers 429 while it makes the kind's storage anew
        return (await things.server.get(things.path)).status == 200

    await until(is_gone)
    await until(others_are_there)


def _schema(**fields: Any) -> dict[str, Any]:
    return {"properties": {"spec": {"type": "object", "properties": fields}}}


_ROOT = "spec.validation.openAPIV3Schema"
_FIELD = f"{_ROOT}.properties[spec].properties[a]"


@pytest.mark.parametrize(
    ("schema", "field", "message"),
    [
        (_schema(a={}), f"{_FIELD}.type", "Required value: must not be empty for specified object fields"),
        (_schema(a={"type": "array"}), f"{_FIELD}.items", "Required value: must be specified"),
        (
            {"type": "array", "items": {"type": "string"}},
            f"{_ROOT}.type",
            'Invalid value: "array": must be object at the root',
        ),
        (
            _schema(a={"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "foo"}),
            f"{_FIELD}.x-kubernetes-list-type",
            'Unsupported value: "foo": supported values: "atomic", "set", "map"',
        ),
        (
            _schema(a={"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
            f"{_FIELD}.uniqueItems",
            "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ),
        (
            _schema(
                a={
                    "type": "object",
                    "properties": {"b": {"type": "string"}},
                    "additionalProperties": {"type": "string"},
                }
            ),
            f"{_FIELD}.additionalProperties",
            "Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            _schema(a={"type": "object", "oneOf": [{"type": "object"}]}),
            f"{_FIELD}.oneOf[0].type",
            "Forbidden: must be empty to be structural",
        ),
    ],
)
async def test_a_schema_that_is_not_structural_is_refused(
    server: Server, group: str, schema: dict[str, Any], field: str, message: str
) -> None:
    answer = await server.post(CRDS, definition(group, **schema))
    assert (answer.status, answer.causes) == (422, [(field, message)])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scope": "Everywhere"}, "spec.scope"),
        ({"conversion": {"strategy": "Magic"}}, "spec.conversion.strategy"),
        ({"preserveUnknownFields": True}, "spec.preserveUnknownFields"),
    ],
)
async def test_a_definition_with_a_wrong_field_is_refused(
    server: Server, group: str, change: dict[str, Any], field: str
) -> None:
    wrong = copy.deepcopy(definition(group))
    wrong["spec"] |= change
    answer = await server.post(CRDS, wrong)
    assert (answer.status, [found for found, _ in answer.causes]) == (422, [field])


async def test_applied_lists_merge_as_the_schema_says(things: Things) -> None:
    async def apply(manager: str, **spec: Any) -> Any:
        path = f"{things.path}/a?fieldManager={manager}"
        body = {key: value for key, value in things.thing(**spec).items() if key != "metadata"}
        body["metadata"] = {"name": "a"}
        if manager == "bob":
            del body["spec"]["service"]
        return (await things.server.patch(path, body, APPLY)).body

    await apply("alice", backends=[{"service": "one", "weight": 2}], tags=["x"])
    both = await apply("bob", backends=[{"service": "two"}], tags=["y"])
    assert both["spec"]["backends"] == [{"service": "one", "weight": 2}, {"service": "two", "weight": 1}]
    assert both["spec"]["tags"] == ["x", "y"]
    left = await apply("alice", tags=["x"])
    assert left["spec"]["backends"] == [{"service": "two", "weight": 1}]
