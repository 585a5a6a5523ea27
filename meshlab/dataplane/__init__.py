"""Who carries the bytes? The seam between the mesh and the proxies beside the apps.

plane = data_plane("envoy")                            # an entry point of the group ``meshlab.dataplane``
pod = plane.inject(pod, settings)                      # injector: the pod with its sidecar
snapshot = plane.compile(view, Credentials(svid, bundle))
server = AdsServer(plane.stages, services=plane.receivers(sink, workload_at))
"""

from meshlab.dataplane.base import Credentials, DataPlane, Reporter, SidecarSettings, Sink, WorkloadAt

__all__ = ["Credentials", "DataPlane", "Reporter", "SidecarSettings", "Sink", "WorkloadAt"]
