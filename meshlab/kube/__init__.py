"""The words of Kubernetes: objects, references, YAML, a client and a watch. Every other room speaks them."""

from meshlab.kube.client import ApiError, Kube
from meshlab.kube.objects import Kind, Object, Ref, labels_of, matches_labels
from meshlab.kube.watch import Change, Reflector
from meshlab.kube.yaml import dump, load

__all__ = [
    "ApiError",
    "Change",
    "Kind",
    "Kube",
    "Object",
    "Ref",
    "Reflector",
    "dump",
    "labels_of",
    "load",
    "matches_labels",
]
