"""A value has a type that its field hasn't: how does a real server say so?

It depends on where the value came from: an object that was sent or patched is decoded by Go, a strategic patch is
merged by Go's reflection, and an applied configuration is read against the schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_GO_KINDS = {str: "string", bool: "bool", int: "int64", float: "float64", list: "slice", dict: "map"}
_GO_TYPES = {str: "string", bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}


@dataclass(frozen=True, slots=True)
class Misfit:
    """A field by its path, what its schema wants (JSON's name of a type, `struct` for an object with fields of its
    own), and what is there. `decoded` is what Go's decoder says.
    """

    path: str
    wanted: str
    value: Any
    decoded: str

    @property
    def patched(self) -> str:
        """In a strategic merge patch."""
        kind = _GO_KINDS.get(type(self.value), "map")
        match self.wanted:
            case "struct":
                return f"cannot restore struct from: {kind}"
            case "object":
                return f"cannot restore map from {kind}"
            case "array":
                return f"cannot restore slice from {kind}"
            case "string":
                return f"cannot convert {kind} to string"
            case "integer":
                return "unrecognized type: int32"
        return self.decoded

    @property
    def applied(self) -> str:
        """In server-side apply."""
        match self.wanted:
            case "struct" | "object":
                return f".{self.path}: expected map, got &{{{go_text(self.value)}}}"
            case "array":
                return f".{self.path}: expected list, got &{{{go_text(self.value)}}}"
            case "boolean":
                return f".{self.path}: expected boolean, got &{{{go_text(self.value)}}}"
            case "integer" | "number":
                found = _GO_TYPES.get(type(self.value), "float64")
                return f".{self.path}: expected numeric (int or float), got {found}"
        return f".{self.path}: expected string, got &value.valueUnstructured{{Value:{_go_value(self.value)}}}"


def go_text(value: Any) -> str:
    """A value as Go prints it: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_text(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_text, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)


def _go_value(value: Any) -> str:
    """A value as Go source has it."""
    if isinstance(value, dict):
        return "map[string]interface {}{" + ", ".join(f'"{key}":{_go_value(item)}' for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(map(_go_value, value)) + "}"
    return f'"{value}"' if isinstance(value, str) else go_text(value)
