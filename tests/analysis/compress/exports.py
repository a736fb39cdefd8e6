"""Tiny compressed models of three families, every form in one of them at least."""

import warnings

import torch

from analysis.compress import forms
from analysis.compress.export.placing import forms_in
from analysis.compress.trials import targets
from analysis.networks.opened import OpenedModel
from tests.analysis.tiny_transformers import tiny

# What each layer of a family gets, by the end of its name; others stay dense.
MADE = {
    "llama": {"0.q": "two_factor", "0.k": "row_interpolative", "0.v": "compensated",
              "0.gate": "merged", "0.up": "quantised", "0.down": "tensor_train",
              "1.q": "tucker", "1.o": "tucker", "1.down": "two_factor"},
    "gpt2": {"0.q": "two_factor", "0.v": "row_interpolative", "0.o": "two_factor",
             "0.up": "quantised", "1.k": "compensated", "1.v": "compensated",
             "1.down": "compensated"},
    "bert": {"0.q": "two_factor", "0.down": "row_interpolative", "1.o": "quantised"},
}  # fmt: skip


def compressed(family, folder, dtype=torch.float32, **settings):
    """Save a tiny model; return it opened, its network with forms in place, the forms by path.

    All parameters are what `dtype` can hold, and computed with in float32.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tiny(family, **settings).save_pretrained(folder)
    (folder / "tokenizer.json").write_text('{"of": "tests"}')
    opened = OpenedModel.open(folder)
    network = opened.network()
    chosen, _ = targets.targets(opened, network)
    kinds = MADE[family]
    found = {t.layer: kinds[end] for t in chosen for end in kinds if t.layer.endswith(end)}
    assert len(found) == len(kinds)
    by_layer = {t.layer: t for t in chosen}
    shared = _tucker()
    made = {
        layer: shared.pop() if kind == "tucker" else _form(kind, network, by_layer[layer])
        for layer, kind in found.items()
    }
    targets.replace(network, made, chosen)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.to(dtype))
    return opened, network, forms_in(network)


def logits(network, ids):
    with torch.no_grad():
        return network(input_ids=ids)[0]


def _form(kind, network, target):
    W = targets.weight(network, target)
    U, s, Vt = torch.linalg.svd(W, full_matrices=False)
    B, A = U * s, Vt
    if kind == "two_factor":
        return forms.TwoFactor(A[:4], B[:, :4])
    if kind == "row_interpolative":
        return forms.RowInterpolative.of(B[:, :5], A[:5])
    if kind == "merged":
        return forms.Merged(B[:, :6] @ A[:6])
    if kind == "quantised":
        return _quantised(W)
    if kind == "tensor_train":
        (m, n), G = W.shape, torch.Generator().manual_seed(0)
        shapes = [(1, 4, 4, 3), (3, m // 4, n // 4, 1)]
        return forms.TensorTrain([torch.randn(shape, generator=G) for shape in shapes])
    rank = 2 + target.block  # ranks differ from layer to layer
    inner = _quantised(W) if target.role != "k" else forms.TwoFactor(A[:3], B[:, :3])
    return forms.Compensated(inner, 0.1 * B[:, -rank:], A[-rank:])


def _quantised(W):
    low, high = W.amin(1, keepdim=True), W.amax(1, keepdim=True)
    scale = ((high - low) / 7).half()
    zero = (-low / scale).half()
    codes = (W / scale + zero).round().clamp(0, 7).to(torch.uint8)
    return forms.Quantised(codes, scale, zero, bits=3, group=0)


def _tucker():
    """The two matrices of 4 heads that share a tensor: the second is the owner's."""
    G = torch.Generator().manual_seed(1)
    shapes = [(16, 5), (4, 3), (2, 2), (4, 5, 3, 2)]
    owner = forms.HeadTucker([0.5 * torch.randn(s, generator=G) for s in shapes], slot=0)
    return [forms.HeadTucker(owner, slot=1, turned=True), owner]
