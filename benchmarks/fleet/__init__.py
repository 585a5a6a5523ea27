"""A fleet of proxies: many simulated ones in a process of their own, and a mesh of objects for them to be part of."""
