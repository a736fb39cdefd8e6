"""What keeps a model from a trial of its update, or an update from a trial of whole layers."""

from typing import Any

from analysis.compress.trials.specs import Spec
from analysis.networks.errors import BadInput
from analysis.networks.opened import OpenedModel
from analysis.weights.source import Source
from analysis.weights.updates import of_the_whole

FITTING = {"adapter": "lora_shrink", "delta": "lora_extract"}
WHOLE = {"adapter": "whole adapter", "delta": "whole update"}  # what a trial is measured beside


def check(opened: OpenedModel, spec: Spec, params: Any) -> None:
    """Raise BadInput where a trial by a method for updates has no meaning, with what does."""
    check_kind(opened.source, spec)
    unfit = {
        "compensation": spec.compensation != "none",
        "recovery": params.recovery_steps > 0,
        "ranks by hand": bool(params.ranks),
    }
    for word, asked in unfit.items():
        if asked:
            raise BadInput(f"{spec.method} writes a plain adapter, with no {word}: leave it out")
    if spec.parsed()[1].rank and "budget" in spec.settings:
        raise BadInput(f"{spec.full_name}: a rank is every module's, so leave budget out, or rank")
    _check_layers(opened, spec)
    _check_vocabulary(opened.source)


def check_kind(source: Source, spec: Spec) -> None:
    """Raise BadInput for a method that is not for what a model is: whole, adapter or pair."""
    method, _ = spec.parsed()
    kind = source.kind if source.base is not None else ""
    if kind in method.updates or not (kind or method.updates):
        return
    if not kind:
        raise BadInput(
            f"{spec.method} makes an adapter of what training added to a base, and {source.name} "
            "is a whole model: add an adapter's folder, or a fine-tuned model with "
            "`models add PATH --base MODEL`"
        )
    use = FITTING.get(kind, "lora_extract")
    if method.updates:
        raise BadInput(
            f"{spec.method} takes an adapter's own factors, and {source.name} is a fine-tuned "
            f"model with its base: use {use}"
        )
    raise BadInput(
        f"{source.name} holds what changes another model, and {spec.method} compresses the layers "
        f"of a whole one: open the model with its updates merged in, or use {use}"
    )


def chosen(opened: OpenedModel) -> frozenset[str] | None:
    """Return the layers whose updates are reduced; None where these are all linear ones.

    A fused projection is chosen with all of its parts.
    """
    refs, layers = opened.source.matrices(), set(opened.layers)
    linear = {ref.label.layer for ref in refs if ref.label.kind == "linear"}
    if opened.all_layers or linear <= layers:
        return None
    parts = _parts(opened)
    whole = {tensor for tensor, own in parts.items() if own <= layers}
    joined = {ref.label.layer for ref in refs if ref.tensor in whole}
    return frozenset(layers | joined)


def _parts(opened: OpenedModel) -> dict[str, set[str]]:
    """Return the layers that are parts of one fused projection, by its tensor."""
    found: dict[str, set[str]] = {}
    for ref in opened.source.matrices():
        if of_the_whole(ref.label.view).startswith("part "):
            found.setdefault(ref.tensor, set()).add(ref.label.layer)
    return found


def _check_layers(opened: OpenedModel, spec: Spec) -> None:
    layers = chosen(opened)
    if layers is None:
        return
    if opened.source.kind != "adapter":
        raise BadInput(
            f"{spec.method} of {opened.name} takes all layers: the update of one that is not "
            "chosen would stand in the adapter whole, as two factors larger than the layer; "
            "choose all of them"
        )
    for parts in _parts(opened).values():
        some, left = sorted(parts & layers), sorted(parts - layers)
        if some and left:
            raise BadInput(
                f"a LoRA changes a fused projection as a whole: with {', '.join(some)} choose "
                f"{', '.join(left)} too, or none of them"
            )


def _check_vocabulary(source: Source) -> None:
    """Raise where a base lacks tokens of the model that was tuned from it."""
    base = source.base.config if source.base is not None else {}
    own, other = source.config.get("vocab_size"), base.get("vocab_size")
    if own and other and own > other:
        raise BadInput(
            f"{source.name} has {own} tokens and its base {other}, and no LoRA carries the new "
            "ones: there is no trial of this pair"
        )
