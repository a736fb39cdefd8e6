"""A fine-tuned model against its base: the difference of each weight that both have."""

from analysis.weights.bases import Modules
from analysis.weights.changes import Changes
from analysis.weights.header import BadModel, Stored
from analysis.weights.source import Source
from analysis.weights.updates import Part, Update, sides


def difference(tuned: Source, base: Source) -> Changes:
    """Return tuned - base for the matrices of the same name and shape in both.

    Everything else is listed with its reason. Only headers are compared: a weight that training
    left alone is found when it is read, and has a row with status zero. Raises BadModel when the
    two are the same files or share no matrix.
    """
    if {t.file for t in tuned.stored} == {t.file for t in base.stored}:
        raise BadModel(f"{tuned.path} is its own base: give another model with --base MODEL")
    modules, skipped = Modules(base), base.skipped()
    reasons, homes, updates = {}, {}, {}
    for own in tuned.stored:
        other = modules.find(own.name)
        reason = _reason(own, other, tuned, skipped)
        if reason or other is None:
            reasons[own.name] = reason
        else:
            homes[own.name] = other.name
            updates[other.name] = Update("difference", (Part.of(own), Part.of(other)))
    if not updates:
        raise BadModel(
            f"{tuned.path} and {base.path} share no weight of one name and shape: "
            "give its own base with --base MODEL"
        )
    used = {modules.find(own.name) for own in tuned.stored}
    return Changes(
        f"{tuned.name}-minus-{base.name}", tuned.path, tuned.origin, "delta",
        tuned.stored, tuned.config or base.config, tuned.steps,
        (*tuned.notes, f"difference from {base.path}"), tuned.allow_pickle, base,
        updates, homes, reasons, tuple(t for t in base.stored if t not in used),
    )  # fmt: skip


def _reason(own: Stored, other: Stored | None, tuned: Source, skipped: dict[str, str]) -> str:
    if other is None:
        return tuned.skipped().get(own.name) or "only in the fine-tuned model: nothing to compare"
    if own.shape != other.shape:
        return f"{sides(own.shape)} here and {sides(other.shape)} in the base: nothing to compare"
    return skipped.get(other.name) or tuned.skipped().get(own.name, "")
