"""Which pods get a sidecar, and what does the API server hear about it? Admission review → admission response.

Everything here is a function of its arguments; serving it over HTTPS is the control plane's part.
"""

from meshlab.injector.decision import Verdict, wants_sidecar
from meshlab.injector.review import mutate, validate

__all__ = ["Verdict", "mutate", "validate", "wants_sidecar"]
