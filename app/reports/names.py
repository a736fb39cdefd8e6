"""Names of files that any system takes, whatever a model is called."""

import re
import unicodedata

LONGEST = 60


def slug(text: str, longest: int = LONGEST) -> str:
    """Return small letters, digits and dashes: `../../x` is `x`, and what has none is `unnamed`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return words[:longest].strip("-") or "unnamed"


def counted(count: int, word: str) -> str:
    """Return a count with its word: 1 row, 2 rows."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
