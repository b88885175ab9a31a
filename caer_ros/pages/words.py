"""Numbers as pages and tables say them; a dash for NaN."""

from __future__ import annotations

import math


def percent(share: float) -> str:
    """A share 0..1, such as "94.4 %"."""
    return "—" if math.isnan(share) else f"{100 * share:.0f} %" if share in (0, 1) else f"{100 * share:.1f} %"


def milliseconds(seconds: float) -> str:
    """Seconds, such as "55 ms"."""
    return "—" if math.isnan(seconds) else f"{seconds * 1e3:.0f} ms"


def per_second(rate: float) -> str:
    """A rate, such as "10.1/s"."""
    return "—" if math.isnan(rate) else f"{rate:.1f}/s"


def number(value: float) -> str:
    """Three digits."""
    return "—" if math.isnan(value) else f"{value:.3g}"
