"""A pod network that the kernel enforces, without privileges: a process holds namespaces, the daemon asks it."""
