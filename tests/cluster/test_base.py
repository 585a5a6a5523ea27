"""The seam, and a cluster of forty lines that fits it."""

from pathlib import Path

from meshlab.cluster.base import Cluster
from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.errors import ClusterError


class PaperCluster:
    """A cluster that only remembers whether it was started."""

    kind = "paper"
    network = "none"
    image = "meshlab:paper"

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._file = folder / "kubeconfig"
        self.images: list[str] = []

    async def up(self) -> None:
        self._file.write_text("{}")

    def kubeconfig(self) -> Path:
        if not self._file.exists():
            raise ClusterError("ML113", "it is not running", about=f"lab {self.name}")
        return self._file

    async def reach(self, namespace: str, service: str, port: int) -> tuple[str, int]:
        return f"{service}.{namespace}", port

    async def load_image(self) -> None:
        self.images.append(self.image)

    async def down(self) -> None:
        self._file.unlink(missing_ok=True)


async def test_a_cluster_is_five_methods(tmp_path: Path) -> None:
    cluster: Cluster = PaperCluster("one", tmp_path)
    await cluster.up()
    assert cluster.kubeconfig().exists()
    await cluster.load_image()
    assert await cluster.reach("bookstore", "bookstore", 14001) == ("bookstore.bookstore", 14001)
    await cluster.down()


def test_the_embedded_cluster_fits_the_seam() -> None:
    cluster: Cluster = EmbeddedCluster("one", "loopback")
    assert (cluster.kind, cluster.network) == ("embedded", "loopback")
    assert cluster.image.startswith("meshlab:")
