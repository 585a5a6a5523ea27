"""Where does a lab run? `base.py` is the seam; `embedded/` the cluster that needs nothing but Python."""
