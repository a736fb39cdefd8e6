"""Numbers as people read them: few digits, the unit beside them, a dash for what is not known."""

import datetime
import math
import numbers
from typing import Any

NOT_KNOWN = "—"
THOUSANDS = ("", " k", " M", " G", " T")


def known(value: Any) -> bool:
    """Return whether there is a finite number in `value` (None, NaN and text are none)."""
    return isinstance(value, numbers.Real) and math.isfinite(value)


def digits(value: Any, significant: int = 3) -> str:
    """Return three significant digits, whole from 100 on: 0.0432, 52.4, 278, 1.2e-05."""
    if not known(value):
        return NOT_KNOWN
    if value == 0 or (float(value).is_integer() and abs(value) < 1e6):
        return f"{int(value):,}".replace(",", " ")
    if 1e-3 <= abs(value) < 1e6:
        decimals = max(0, significant - 1 - math.floor(math.log10(abs(value))))
        return f"{value:,.{decimals}f}".replace(",", " ")
    return f"{value:.{significant - 1}e}"


def count(value: Any) -> str:
    """Return a large count in thousands, millions, ...: 22713216 is 22.7 M."""
    return _scaled(value, THOUSANDS, 1000)


def size(value: Any) -> str:
    """Return bytes in decimal units, as file managers do: 45426432 is 45.4 MB."""
    return _scaled(value, (" B", " kB", " MB", " GB", " TB"), 1000)


def _scaled(value: Any, names: tuple[str, ...], base: int) -> str:
    if not known(value):
        return NOT_KNOWN
    power = 0
    while abs(value) >= base and power < len(names) - 1:
        value, power = value / base, power + 1
    return (f"{value:.0f}" if power == 0 or value >= 100 else f"{value:.1f}") + names[power]


def percent(share: Any) -> str:
    """Return a share in whole percents, with one decimal below ten."""
    if not known(share):
        return NOT_KNOWN
    return f"{100 * share:.{0 if abs(share) >= 0.0995 else 1}f} %"


def duration(seconds: Any) -> str:
    """Return a time span in its two largest units: 0.4 s, 52 s, 3 min 20 s, 2 h 5 min."""
    if not known(seconds):
        return NOT_KNOWN
    if 0 < seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def shape(sizes: Any) -> str:
    """Return a shape as it is spoken: 384 x 384."""
    return " \N{MULTIPLICATION SIGN} ".join(str(int(length)) for length in sizes)


def ago(seconds: float) -> str:
    """Return how long ago something was, in its largest unit: just now, 4 min ago, 2 h ago."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"


def clock(seconds: float) -> str:
    """Return a time of this machine as day and minute: 20 Nov 14:05."""
    return f"{datetime.datetime.fromtimestamp(seconds):%-d %b %H:%M}"
