"""What keeps a model from a trial of its update, or an update from a trial of whole layers."""

from typing import Any

from analysis.compress.trials.specs import Spec
from analysis.networks.errors import BadInput
from analysis.networks.opened import OpenedModel
from analysis.weights.source import Source

FITTING = {"adapter": "lora_shrink", "delta": "lora_extract"}


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


def _check_layers(opened: OpenedModel, spec: Spec) -> None:
    if opened.all_layers:
        return
    linear = {r.label.layer for r in opened.source.matrices() if r.label.kind == "linear"}
    if linear - set(opened.layers):
        raise BadInput(
            f"{spec.method} takes the updates of all layers together, for an adapter is one: "
            "choose all of them"
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
