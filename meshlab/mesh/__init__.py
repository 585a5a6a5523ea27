"""WHAT a mesh is: services, identities, routes, permissions, splits. Pure: each rule is a test without a process."""
