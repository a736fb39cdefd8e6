"""Why a matrix is not one of the linear layers that low-rank methods replace, in words."""

from analysis.weights.fused import parts_of
from analysis.weights.matrix import Label
from analysis.weights.updates import of_the_whole

KINDS = {"embedding": "embedding", "conv": "convolution"}
MODULES = {
    "head": "the output head",
    "head_transform": "the transform before the output head",
    "patch_embed": "the patch embedding",
    "next_sentence": "the next-sentence head",
    "pooler": "the pooler",
    "pre_classifier": "the layer before the classifier",
    "classifier": "the classifier",
    "project_in": "the projection into the blocks",
    "project_out": "the projection out of the blocks",
    "text_projection": "the projection of the text",
    "visual_projection": "the projection of the image",
    "router": "the router, which chooses among experts",
    "shared_router": "the gate of the shared expert",
}


def why_not_linear(label: Label) -> str | None:
    """Return what a matrix is instead of a linear layer, None for one that is."""
    if label.kind == "linear":
        return None
    if label.kind in KINDS:
        return KINDS[label.kind]
    if of_the_whole(label.view).startswith("head "):
        return "an attention head, part of a layer that takes part"
    if parts_of(label.module):
        return "a fused tensor whose parts take part"
    return MODULES.get(label.module.rpartition(".")[2], f"the module {label.module}")
