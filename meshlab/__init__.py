"""meshlab: learn a service mesh by running one."""

__version__ = "0.1.0"
