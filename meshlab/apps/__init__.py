"""Which programs talk to each other in the demo? Four small ones that know nothing of any mesh.

bookbuyer and bookthief ask for books at bookstore; bookstore restocks at bookwarehouse after every sale. They
use the standard library alone, speak plain HTTP, and each has a page with its counters. Whether a call passes
is the mesh's business: they only tell what they saw.
"""
