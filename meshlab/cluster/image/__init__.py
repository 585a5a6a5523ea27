"""What do pods on a real cluster run? One image, `meshlab:<version>-<content>`, made from this installation."""

from meshlab.cluster.image.build import build, tag
from meshlab.cluster.image.contents import image_name

__all__ = ["build", "image_name", "tag"]
