"""What does a learner see and touch? Each widget is one .py with its .js and .css; the lab fills them.

They know nothing of clusters: whoever makes one gives it what to show and what to call when it is touched.
"""

from meshlab.widgets.certificates import CertificatesWidget
from meshlab.widgets.dashboard import Dashboard
from meshlab.widgets.split import SplitWidget

__all__ = ["CertificatesWidget", "Dashboard", "SplitWidget"]
