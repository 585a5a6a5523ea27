"""Envoy as the data plane: what the mesh says, in listeners, routes, clusters and secrets.

`plane.EnvoyDataPlane` is the whole; `compile` joins the builders `listeners`, `routes`, `rbac`, `clusters`,
`endpoints` and `secrets`; `bootstrap` and `sidecar` are what runs in the pod, and import no protobuf.
"""
