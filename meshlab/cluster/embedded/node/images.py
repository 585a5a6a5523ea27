"""Which images can this node run?"""

from __future__ import annotations

_LIBRARY = ("docker.io/library/", "docker.io/", "localhost/")


class Images:
    """This node has one image, the installed package, under its version and as `latest`."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._names = {image, image.rpartition(":")[0] or image, "meshlab", "meshlab:latest"}

    def has(self, image: str) -> bool:
        """Whether the image means the installed package."""
        for prefix in _LIBRARY:
            image = image.removeprefix(prefix)
        return image in self._names

    def refusal(self, image: str) -> str:
        """Why another image can't be pulled, and where it could run."""
        return (
            f'Failed to pull image "{image}": this node runs pods as processes and has no images but "{self._image}", '
            f"meshlab's own package. Run other images on a kind cluster: meshlab up --cluster kind"
        )

    @property
    def id(self) -> str:
        """What containerStatuses[].imageID says."""
        return f"process://{self._image}"
