"""The threshold in closed form, the classes it makes, and what they cost."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.numerics.global_threshold import normalised, pruned, solve
from analysis.numerics.truncation import balanced_factors
from analysis.registry import AnalysisError
from analysis.weights.matrix import Label, LayerSpectrum, Matrix, Spectrum
from analysis.weights.names import OTHERS
from analysis.weights.outside import why_not_linear
from analysis.welore import Params, Row, welore
from tests.matrices import planted

# The thresholds of the published code, the same for its 7B and 13B models.
PUBLISHED = {10: 0.0225, 20: 0.084, 30: 0.115, 40: 0.145, 50: 0.175, 60: 0.215, 70: 0.26}
models = st.lists(
    st.lists(st.floats(0.01, 100), min_size=2, max_size=20, unique=True).map(
        lambda values: np.sort(np.array(values))[::-1]
    ),
    min_size=1,
    max_size=6,
)


def layer(values, rows=None, cols=None, name="blocks.0.q", kind="linear", floor=0.0):
    values = np.asarray(values, dtype=float)
    spectrum = Spectrum(name, values, rows or len(values), cols or len(values), floor)
    return LayerSpectrum(Label(name, name, "q", 0, kind=kind), spectrum, "float16")


def classified(layers, **params):
    return {row.layer: row for row in welore(layers, Params(**params))}


def search(layers, target):
    """The number pruned by the best of all thresholds, tried one after the other."""
    pooled = np.concatenate(layers)
    tried = [int((pooled < t).sum()) for t in np.unique(np.append(pooled, 1.0))]
    return min(abs(count - target * len(pooled)) for count in tried)


def test_the_published_thresholds_on_eight_values():
    scaled = normalised(np.array([10, 8, 5, 3, 2, 1.5, 1.2, 1]))
    expected = [1, 0.7778, 0.4444, 0.2222, 0.1111, 0.0556, 0.0222, 0]
    assert scaled == pytest.approx(expected, abs=5e-5)
    assert [pruned(scaled, t) for t in PUBLISHED.values()] == [2, 3, 4, 4, 4, 4, 5]


@given(models, st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_no_threshold_comes_nearer_to_the_target(values, target):
    layers = [normalised(v) for v in values]
    threshold = solve(layers, target)
    assert 0 <= threshold <= 1
    total = sum(len(s) for s in layers)
    missed = abs(sum(pruned(s, threshold) for s in layers) - target * total)
    assert missed == pytest.approx(search(layers, target), abs=1e-9)


@given(models, st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_the_target_is_hit_within_one_direction_and_ties(values, target):
    layers = [normalised(v) for v in values]
    pooled = np.sort(np.concatenate(layers))
    if target * len(pooled) < len(layers):  # the zeros of the layers fall together
        return
    threshold = solve(layers, target)
    ties = max(np.unique(pooled, return_counts=True)[1])
    missed = sum(pruned(s, threshold) for s in layers) - target * len(pooled)
    assert abs(missed) <= max(1, ties)


def brute_force(layers, target):
    """Counts of the threshold that comes nearest to the target, from below in a tie."""
    pooled = np.concatenate(layers)
    tried = np.unique(pooled)
    misses = [abs(int((pooled < t).sum()) - target * len(pooled)) for t in tried]
    return [int((s < tried[int(np.argmin(misses))]).sum()) for s in layers]


@given(models, st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_a_printed_threshold_prunes_the_same(values, target):
    layers = [normalised(v) for v in values]
    threshold = solve(layers, target)
    counts = [pruned(s, threshold) for s in layers]
    total = sum(len(s) for s in layers)
    missed = abs(sum(counts) - target * total)
    assert missed == pytest.approx(abs(sum(brute_force(layers, target)) - target * total), abs=1e-9)
    distinct = np.unique(np.concatenate(layers))
    nearest = np.abs(distinct - threshold).min()
    if sum(counts) and np.diff(distinct).min() > 1e-9:  # nothing pruned: 0 is exact
        assert nearest >= np.diff(distinct).min() / 2 * (1 - 1e-6)
        for printed in (float(repr(threshold)), float(f"{threshold:.12g}")):
            assert [pruned(s, printed) for s in layers] == counts
        shaken = [s * (1 + 1e-13) for s in layers]
        assert [pruned(s, threshold) for s in shaken] == counts


def test_the_threshold_is_in_the_middle_of_the_gap():
    scaled = [np.array([1.0, 0.6, 0.2, 0.0]), np.array([1.0, 0.5, 0.1, 0.0])]
    assert solve(scaled, 0.5) == pytest.approx((0.2 + 0.5) / 2)
    assert solve(scaled, 0.0) == 0.0
    assert solve(scaled, 1.0) == pytest.approx(0.8)
    assert solve([np.ones(4)], 0.5) == 0.0


def test_neighbours_in_float64_are_told_apart():
    low, high = 0.5, np.nextafter(0.5, 1)
    [scaled] = [np.array([1.0, high, low, 0.0])]
    assert pruned(scaled, solve([scaled], 0.5)) == 2


def test_ties_fall_together_on_the_nearer_side():
    scaled = [np.array([1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.2, 0.0])]
    assert pruned(scaled[0], solve(scaled, 3 / 8)) == 2
    assert pruned(scaled[0], solve(scaled, 6 / 8)) == 7


@pytest.mark.parametrize("target", [-0.1, 1.1])
def test_a_target_that_is_no_share_is_refused(target):
    with pytest.raises(ValueError, match="expected a target between 0 and 1"):
        solve([np.array([1.0, 0.0])], target)


@given(models, st.sampled_from([1e-4, 3.0, 1e4]))
@settings(max_examples=25, deadline=None)
def test_no_scale_of_a_layer_changes_what_is_pruned(values, scale):
    names = [f"blocks.{i}.q" for i in range(len(values))]
    own = classified([layer(v, name=n) for v, n in zip(values, names, strict=True)], threshold=0.3)
    scaled = classified(
        [layer(v * scale, name=n) for v, n in zip(values, names, strict=True)], threshold=0.3
    )
    near = [
        n for n, v in zip(names, values, strict=True) if np.abs(normalised(v) - 0.3).min() < 1e-9
    ]
    for name in set(names) - set(near):
        assert scaled[name].pruned == own[name].pruned


def test_equal_singular_values_are_left_alone():
    flat, steep = np.ones(10), np.geomspace(10, 0.1, 10)
    found = classified([layer(flat, name="a"), layer(steep, name="b")], target_reduction=0.4)
    assert (found["a"].pruned, found["a"].classification) == (0, "N-LRC")
    assert found["a"].reason == "nothing is below the threshold"
    assert found["b"].pruned == 8


@pytest.mark.parametrize("size", [40, 512])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_that_differ_by_rounding_alone_are_equal(size, dtype):
    square = torch.randn(size, size, generator=torch.Generator().manual_seed(0))
    subject = Matrix.of(torch.linalg.qr(square).Q.to(dtype))
    spectrum = LayerSpectrum(subject.label, subject.spectrum(), subject.dtype)
    assert classified([spectrum], threshold=0.5)["w"].pruned == 0


@pytest.mark.parametrize("cutoff", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("allow", [False, True])
@pytest.mark.parametrize("shape", [(12, 12), (12, 48), (48, 12)])
def test_counts_are_exact_and_no_factored_layer_is_larger(shape, cutoff, allow):
    generator = np.random.default_rng(0)
    layers = [
        layer(np.sort(generator.exponential(size=12) ** power)[::-1], *shape, name=f"l{power}")
        for power in (1, 2, 3, 4)
    ]
    found = classified(
        layers, target_reduction=0.5, cutoff=cutoff, allow_above_break_even=allow
    ).values()
    dense = shape[0] * shape[1]
    for row in found:
        factored = row.rank * sum(shape)
        assert (row.parameters, row.nominal_parameters) == (dense, factored)
        assert row.applied_parameters == (factored if row.classification == "LRC" else dense)
        assert (row.classification == "LRC") == (row.reason is None)
        if row.classification == "LRC":
            assert row.reduction >= cutoff
            assert allow or factored <= dense
        for name in ("", "nominal_", "applied_"):
            size, count = getattr(row, f"{name}bytes"), getattr(row, f"{name}parameters")
            assert size == 2 * count  # float16
    first = next(iter(found))
    total = 4 * dense
    applied = [row for row in found if row.classification == "LRC"]
    assert first.model_nominal_reduction == sum(row.pruned for row in found) / 48
    assert first.model_applied_reduction == sum(row.pruned for row in applied) / 48
    for name in ("nominal", "applied"):
        ratio = sum(getattr(row, f"{name}_parameters") for row in found) / total
        assert getattr(first, f"model_{name}_parameter_ratio") == pytest.approx(ratio)
        assert getattr(first, f"model_{name}_byte_ratio") == pytest.approx(ratio)


def test_bytes_weigh_each_layer_by_its_own_dtype():
    half = layer(np.geomspace(1, 0.01, 8), name="half")
    full = dataclasses.replace(layer(np.linspace(1, 0.5, 8), name="full"), dtype="float32")
    row = classified([half, full], threshold=0.3, cutoff=0.5)["half"]
    assert row.model_applied_parameter_ratio != row.model_applied_byte_ratio
    saved = row.bytes - row.applied_bytes
    assert row.model_applied_byte_ratio == pytest.approx(1 - saved / (64 * 2 + 64 * 4))


def test_the_reason_why_a_layer_stays_dense():
    values = np.array([10, 8, 5, 3, 2, 1.5, 1.2, 1])
    below = classified([layer(values)], threshold=0.04, cutoff=0.5)["blocks.0.q"]
    assert below.reason == "loses 25% of its rank, less than the cutoff 50%"
    large = classified([layer(values)], threshold=0.04, cutoff=0.0)["blocks.0.q"]
    assert "rank 6 is above break-even 4" in large.reason
    asked = classified([layer(values)], threshold=0.04, cutoff=0.0, allow_above_break_even=True)
    assert asked["blocks.0.q"].classification == "LRC"
    assert asked["blocks.0.q"].applied_parameters == 6 * 16 > 64


def test_only_linear_layers_take_part_and_the_others_say_why():
    values = np.geomspace(10, 0.1, 10)
    layers = [layer(values, name="q")] + [
        layer(values / 3, name=kind, kind=kind) for kind in ("embedding", "conv", "other")
    ]
    layers.append(layer(np.zeros(10), name="empty"))
    found = classified(layers, target_reduction=0.5)
    assert [row.classification for row in found.values()] == ["LRC"] + ["excluded"] * 4
    assert found["embedding"].reason == "takes no part: embedding"
    assert found["conv"].reason == "takes no part: convolution"
    assert found["empty"].reason == "takes no part: every entry is zero"
    assert found["conv"].pruned is found["conv"].applied_bytes is None
    assert found["q"].model_nominal_reduction == 0.5


@pytest.mark.parametrize(
    ("module", "view", "why"),
    [
        ("head", "whole", "the output head"),
        ("pooler", "whole", "the pooler"),
        ("router", "whole", "the router, which chooses among experts"),
        ("decoder.router", "whole", "the router, which chooses among experts"),
        ("qkv", "whole", "a fused tensor whose parts take part"),
        ("gate_up", "expert 2", "a fused tensor whose parts take part"),
        ("q", "head 3", "an attention head, part of a layer that takes part"),
        ("made_up", "whole", "the module made_up"),
    ],
)
def test_a_layer_of_another_kind_says_what_it_is(module, view, why):
    values = np.geomspace(10, 0.1, 10)
    label = Label("x", "x.weight", module, None, view, "other")
    other = LayerSpectrum(label, Spectrum("x", values, 10, 10), "float16")
    assert classified([layer(values), other])["x"].reason == f"takes no part: {why}"


def test_every_module_outside_the_blocks_has_its_words():
    for module in OTHERS:
        label = Label("x", "x.weight", module, None, kind="other")
        assert not why_not_linear(label).startswith("the module "), module


def test_a_ratio_of_the_model_says_which_layers_it_is_over():
    for declared in dataclasses.fields(Row):
        if declared.name.startswith("model_"):
            assert "over the linear layers that take part" in declared.metadata["help"]
            assert "layers that take part" in declared.metadata["title"]


def test_no_linear_layer_is_a_sentence():
    with pytest.raises(AnalysisError, match="none of the 1 layers is a linear layer"):
        list(welore([layer([2, 1], kind="conv")], Params()))


@pytest.mark.parametrize("target", [0.3, 0.5, 0.7])
def test_what_is_reported_is_what_the_factors_hold(target):
    W = planted(np.geomspace(5, 0.05, 24), 40, 24, dtype=torch.float32)
    subject = Matrix.of(W)
    spectrum = LayerSpectrum(subject.label, subject.spectrum(), subject.dtype)
    row = classified([spectrum], target_reduction=target, cutoff=0.0)["w"]
    B, A = balanced_factors(W, row.rank)
    assert row.nominal_parameters == B.numel() + A.numel()
    assert row.nominal_bytes == B.nbytes + A.nbytes
    lost = (subject.spectrum().values[row.rank :] ** 2).sum()
    assert (W - B @ A).square().sum().item() == pytest.approx(lost, rel=1e-5)
