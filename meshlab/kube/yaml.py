"""How does text become Kubernetes objects, and objects text?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from meshlab.errors import PolicyError
from meshlab.kube.objects import Object


def load(text: str, source: str = "the YAML") -> list[Object]:
    """Every object in a stream of YAML documents; a `List` is unfolded, empty documents are passed over.

    Raises PolicyError ML201 when the text is no YAML (with line and column) and ML202 when a document is
    no Kubernetes object. `source` names the text in the message: a file, a cell.
    """
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise PolicyError("ML201", f"{where}{problem}", about=source, hint="check the indentation there") from None
    objects: list[Object] = []
    for number, document in enumerate(documents, start=1):
        if document is None:
            continue
        for item in _unfold(document):
            _require_object(item, f"{source}, document {number}")
            objects.append(item)
    return objects


def dump(objects: Object | Iterable[Object]) -> str:
    """YAML for one object or several, keys in the order they have, documents separated by `---`."""
    several = [objects] if isinstance(objects, dict) else list(objects)
    return "---\n".join(yaml.dump(item, Dumper=_Dumper, sort_keys=False, width=110) for item in several)


class _Dumper(yaml.SafeDumper):
    """Never writes anchors, and writes text of several lines as a block."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Dumper.add_representer(str, _text)


def _unfold(document: Any) -> list[Any]:
    if isinstance(document, dict) and document.get("kind") == "List" and isinstance(document.get("items"), list):
        return list(document["items"])
    return [document]


def _require_object(item: Any, about: str) -> None:
    if not isinstance(item, dict):
        raise PolicyError(
            "ML202", f"it is a {type(item).__name__}, not an object", about=about, hint="start with apiVersion and kind"
        )
    metadata = item.get("metadata")
    named = isinstance(metadata, dict) and (metadata.get("name") or metadata.get("generateName"))
    missing = [key for key in ("apiVersion", "kind") if not isinstance(item.get(key), str)]
    if not named:
        missing.append("metadata.name")
    if missing:
        raise PolicyError("ML202", f"missing {', '.join(missing)}", about=about, hint=f"add {missing[0]}")
