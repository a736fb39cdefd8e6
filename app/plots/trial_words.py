"""Trials in words: the line that each belongs to, what it lost, what it was measured on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app import quantities

ALWAYS = (0, 1, 2)  # of the words of a line: method, compensation, recovery


@dataclass(frozen=True)
class Beside:
    """What trials are measured beside, in words, and what a share to keep is of."""

    name: str  # beside a number: "dense"
    the: str  # in a sentence
    part: str
    column: str  # of a table, for the share that is kept

    @property
    def is_dense(self) -> bool:
        """Say whether that is a whole model, and not what was added to one."""
        return self == DENSE


DENSE = Beside("dense", "the dense model", "the linear layers", "linears")
ADAPTER = Beside("whole adapter", "the whole adapter", "the adapter", "adapter")
UPDATE = Beside("whole update", "the whole update", "the update", "update")


def beside(rows: Iterable[Mapping[str, Any]]) -> Beside:
    """Return what trials of one model are measured beside; rows of before are beside dense."""
    told = {row.get("beside") for row in rows}
    return next((one for one in (ADAPTER, UPDATE) if one.name in told), DENSE)


def line_names(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the line of each trial: its method, and of the rest what its method's trials vary."""
    found = [_words(row) for row in rows]
    return [_told(words, found) for words in found]


def _words(row: Mapping[str, Any]) -> tuple[str, ...]:
    compensation = str(row["compensation"] or "none")
    calibrated = str(row["calibrated_on"] or "").partition(",")[0]
    return (
        str(row["method"]),
        "" if compensation == "none" else f"+ {compensation}",
        "+ recovery" if quantities.known(row["recovered"]) else "",
        str(row["allocation"] or "").replace("_", " "),
        str(row["form"] or "").replace("_", " "),
        str(row["objective"] or ""),
        f"calibrated on {calibrated}" if calibrated else "",
    )


def _told(words: tuple[str, ...], found: Sequence[tuple[str, ...]]) -> str:
    alike = [other for other in found if other[: len(ALWAYS)] == words[: len(ALWAYS)]]
    varied = [i for i in range(len(words)) if len({other[i] for other in alike}) > 1]
    return ", ".join(words[i] for i in range(len(words)) if words[i] and i in {*ALWAYS, *varied})


def signed(value: Any) -> str:
    """Return a change with its sign: +0.123, -0.0042."""
    if not quantities.known(value):
        return quantities.NOT_KNOWN
    return f"{'+' if value > 0 else ''}{quantities.digits(value)}"


def interval(row: Mapping[str, Any], of: str = "delta") -> str:
    """Return the paired interval of a trial's change, or nothing where there is none."""
    low, high = row.get(f"{of}_low"), row.get(f"{of}_high")
    if not (quantities.known(low) and quantities.known(high)):
        return ""
    return f"[{signed(low)}, {signed(high)}]"


def lost(row: Mapping[str, Any]) -> str:
    """Return what a trial lost, with the unit and the interval."""
    unit = "Spearman lost" if row["metric"] == "spearman" else "nats per token"
    return " ".join(word for word in (signed(row["delta"]), interval(row), unit) if word)


def faster(row: Mapping[str, Any]) -> float | None:
    """Return how many times as fast as the dense model a trial ran, None where it was not timed."""
    dense, own = row.get("dense_latency"), row.get("latency")
    if not (quantities.known(dense) and quantities.known(own)) or own <= 0:
        return None
    return float(dense / own)


def sources(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return on which texts trials were calibrated and measured, as one sentence."""
    found = list(rows)
    calibrated, evaluated = (
        list(dict.fromkeys(str(row[name]) for row in found if row[name]))
        for name in ("calibrated_on", "evaluated_on")
    )
    said = f"Calibrated on {_listed(calibrated)}" if calibrated else "No calibration"
    return f"{said}; measured on {_listed(evaluated)}."


def _listed(texts: Sequence[str]) -> str:
    rest = f" and {len(texts) - 2} more" if len(texts) > 2 else ""
    return "; ".join(text.rstrip(".") for text in texts[:2]) + rest
