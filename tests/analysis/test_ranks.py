"""Ranks that are functions of σ alone, on spectra known by construction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.numerics.break_even import break_even_rank
from analysis.numerics.ranks import effective_rank, energy_rank, gap, ranks

spectra = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=30).map(
    lambda values: np.sort(np.array(values))[::-1]
)
NAMES = (
    "effective_rank_sigma",
    "effective_rank_energy",
    "stable_rank",
    "participation_ratio",
    "nuclear_rank",
    "k90",
    "k95",
    "k99",
    "numerical_rank",
)


def naive(values):
    """Every rank as its definition reads, with loops."""
    energy = [s * s for s in values]
    total = sum(energy)
    kept = {}
    for name, share in (("k90", 0.9), ("k95", 0.95), ("k99", 0.99)):
        kept[name] = next(
            k for k in range(1, len(energy) + 1) if sum(energy[:k]) >= (share - 1e-12) * total
        )
    return {
        "effective_rank_sigma": np.prod([(s / sum(values)) ** -(s / sum(values)) for s in values]),
        "effective_rank_energy": np.prod([(e / total) ** -(e / total) for e in energy]),
        "stable_rank": total / energy[0],
        "participation_ratio": total**2 / sum(e * e for e in energy),
        "nuclear_rank": sum(values) / values[0],
        **kept,
    }


@given(spectra)
@settings(max_examples=25, deadline=None)
def test_each_rank_is_its_definition(values):
    found = ranks(values, (len(values), len(values)), 0.0)
    for name, expected in naive(values).items():
        assert getattr(found, name) == pytest.approx(expected, rel=1e-9), name


@given(spectra, st.sampled_from([1e-4, 0.3, 1e4]))
@settings(max_examples=25, deadline=None)
def test_no_rank_knows_the_scale(values, scale):
    floor = 0.47 * values[0]
    own = ranks(values, (40, len(values)), floor)
    scaled = ranks(values * scale, (40, len(values)), floor * scale)
    for name in NAMES:
        assert getattr(scaled, name) == pytest.approx(getattr(own, name), rel=1e-9), name
    assert (scaled.gap or 0) == pytest.approx(own.gap or 0, rel=1e-9)


@given(spectra)
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_ranks(values):
    found = ranks(values, (len(values), len(values)), 0.0)
    slack = 1 + 1e-9
    assert 1 <= found.stable_rank <= found.participation_ratio * slack
    assert found.participation_ratio <= found.effective_rank_energy * slack
    assert found.effective_rank_energy <= found.effective_rank_sigma * slack
    assert found.stable_rank <= found.nuclear_rank * slack <= len(values) * slack**2
    assert found.k90 <= found.k95 <= found.k99 <= len(values)


@pytest.mark.parametrize("count", [1, 2, 10, 777])
def test_equal_values_have_every_rank_full(count):
    found = ranks(np.full(count, 0.37), (count, count), 0.0)
    for name in ("effective_rank_sigma", "stable_rank", "participation_ratio", "nuclear_rank"):
        assert getattr(found, name) == pytest.approx(count)
    assert (found.numerical_rank, found.gap) == (count, None)


def test_one_direction_has_every_rank_one():
    found = ranks(np.array([3.0, 0.0, 0.0]), (5, 3), 1e-9)
    for name in NAMES:
        assert getattr(found, name) == pytest.approx(1)
    assert found.gap == pytest.approx(1 / (5 * np.finfo(float).eps))


def test_an_energy_threshold_met_exactly_is_met():
    assert [energy_rank(np.ones(10), share) for share in (0.9, 0.95, 0.99, 1.0)] == [9, 10, 10, 10]


def test_only_the_signal_of_a_difference_counts():
    values = np.array([4.0, 2.0, 1.0, 0.3, 0.2])
    found = ranks(values, (9, 5), 0.5, signal_only=True)
    expected = naive([4.0, 2.0, 1.0])
    assert found.effective_rank_sigma == pytest.approx(expected["effective_rank_sigma"])
    assert found.stable_rank == pytest.approx(21 / 16)
    assert found.gap == pytest.approx(1 / 0.3)
    assert found.numerical_rank == 3


@pytest.mark.parametrize("values", [np.zeros(4), np.array([]), np.full(3, 0.1)])
def test_nothing_to_measure_is_refused(values):
    with pytest.raises(ValueError, match="at least one positive singular value"):
        ranks(values, (4, 4), 0.1, signal_only=True)


def test_gap_is_where_the_numerical_rank_ends():
    values = np.array([5.0, 4.0, 1e-3, 1e-4])
    assert gap(values, 0.1, 4) == pytest.approx(4000)
    assert gap(values, 10.0, 4) is None
    assert gap(values, 1e-9, 4) is None


@pytest.mark.parametrize(
    ("shape", "expected"), [((4096, 4096), 2048), ((4096, 11008), 2985), ((1024, 4096), 819)]
)
def test_break_even(shape, expected):
    assert break_even_rank(*shape) == expected
    rows, cols = shape
    assert expected * (rows + cols) <= rows * cols < (expected + 1) * (rows + cols)


def test_effective_rank_ignores_zeros():
    assert effective_rank(np.array([1.0, 1.0, 0.0])) == pytest.approx(2)
