"""Which programs talk to each other in the demo? Four small ones that know nothing of any mesh, and a server.

bookbuyer and bookthief ask for books at bookstore; bookstore restocks at bookwarehouse after every sale. They
use the standard library alone, speak plain HTTP, and each has a page with its counters. bookwarehouse keeps its
stock in Valkey, a server that is nobody's toy and speaks no HTTP. Whether a call passes is the mesh's business:
they only tell what they saw.
"""
