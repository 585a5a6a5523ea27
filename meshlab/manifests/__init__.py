"""What does an installation consist of? Plain YAML in these folders, the same on every cluster.

``crds``, ``control-plane``, ``demo`` and ``demo/policies``; files are applied in the order of their names.
"""

from __future__ import annotations

from importlib.resources import files

from meshlab.kube import Object, load

IMAGE = "meshlab:latest"
"""How the YAML writes the image; `read` puts the real one in its place."""


def read(name: str, *, image: str = IMAGE) -> list[Object]:
    """Every object of a folder, in the order of its files: ``read("demo", image="meshlab:0.1.0")``."""
    folder = files("meshlab") / "manifests" / name
    found: list[Object] = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".yaml"):
            found += load(
                file.read_text().replace(f"image: {IMAGE}\n", f"image: {image}\n"), source=f"{name}/{file.name}"
            )
    return found
