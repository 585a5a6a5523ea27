"""WHAT a name in the cluster means: the records that Services make, and a server that answers with them."""
