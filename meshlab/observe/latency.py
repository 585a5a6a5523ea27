"""How are latencies kept in little space, so that percentiles of sums stay true?"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

BOUNDS: tuple[float, ...] = tuple(float(f"{0.25 * 2 ** (step / 4):.4g}") for step in range(73))
"""Upper bounds in milliseconds, four to a doubling, from a quarter to 65,536: within 19 % of the true value."""

Histogram = Counter[float]
"""Upper bound of a bucket → count. Adding two adds what they counted."""


def bucket(milliseconds: float) -> float:
    """The upper bound of the bucket a latency falls into; the last bucket takes all that is longer."""
    return BOUNDS[min(bisect_left(BOUNDS, milliseconds), len(BOUNDS) - 1)]


def percentile(histogram: Mapping[float, int], share: float) -> float | None:
    """The latency that `share` (0…1) of the requests didn't exceed, interpolated in its bucket; None without any."""
    total = sum(histogram.values())
    if total == 0:
        return None
    wanted, below = share * total, 0
    for bound in sorted(histogram):
        count = histogram[bound]
        if below + count >= wanted and count:
            position = BOUNDS.index(bound)
            lower = BOUNDS[position - 1] if position else 0.0
            return round(lower + (bound - lower) * (wanted - below) / count, 3)
        below += count
    return max(histogram)
