"""What a trial was calibrated on, in words, and whether that was enough."""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis.compress.calibration.texts import name_of
from analysis.compress.pieces import Piece

FEW = 2  # tokens by inputs below which a Gram matrix says little


@dataclass(frozen=True)
class Calibrated:
    """The tokens that were read, and the widest input that they describe."""

    tokens: int  # N
    width: int  # n

    def words(self, text: str | None) -> str:
        """Return the text, its tokens and N/n."""
        ratio = self.tokens / self.width
        return (
            f"{name_of(text)}, {self.tokens:,} tokens, "
            f"N/n = {ratio:,.{0 if ratio >= 10 else 1}f} for the widest input"
        )

    def warnings(self) -> list[str]:
        """Return what is to be said of few tokens."""
        if self.tokens >= FEW * self.width:
            return []
        return [
            f"Calibrated on {self.tokens:,} tokens, fewer than twice the widest input "
            f"({self.width:,}): they tell few directions apart, and what is predicted from them "
            "says little: calibrate on more text."
        ]


def calibrated(pieces: Iterable[Piece]) -> Calibrated | None:
    """Return what the pieces were calibrated on, None where none was."""
    known = [(p.statistics.tokens, p.W.shape[1]) for p in pieces if p.statistics]
    if not known:
        return None
    return Calibrated(min(tokens for tokens, _ in known), max(width for _, width in known))
