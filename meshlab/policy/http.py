"""What do policies that speak of HTTP have in common?"""

from __future__ import annotations

import re

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token (RFC 9110 section 5.6.2)."""

RE2_SYNTAX = "use RE2's syntax: https://github.com/google/re2/wiki/Syntax"
