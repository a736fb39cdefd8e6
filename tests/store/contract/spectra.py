"""Singular values, and what a query derives from them."""

import numpy as np
import pytest

from tests.store import examples


class SpectraContract:
    def test_spectra_come_back_bit_for_bit_in_the_order_asked(self, fresh_store):
        values = {key: spectrum_of(50, seed) for seed, key in enumerate("abc")}
        examples.keep(fresh_store, values)
        found = fresh_store.spectra(["c", "missing", "a"])
        assert found.column_names == [
            *("key", "rows", "cols", "noise_floor", "effective_dtype", "s")
        ]
        assert found["key"].to_pylist() == ["c", "a"]
        np.testing.assert_array_equal(found["s"][1].as_py(), values["a"])

    def test_stored_spectra_are_known_by_their_keys(self, fresh_store):
        examples.keep(fresh_store, {"a": [2.0, 1.0], "b": [3.0]})
        known = fresh_store.known_spectra(["b", "missing", "a"])
        assert known.column_names == ["key"]
        assert sorted(known["key"].to_pylist()) == ["a", "b"]
        assert fresh_store.known_spectra([]).num_rows == 0

    @pytest.mark.parametrize("length", [1, 2, 23, 256, 257, 1000, 4096])
    @pytest.mark.parametrize("points", [2, 24, 256])
    def test_a_decay_keeps_both_ends_and_exact_values(self, fresh_store, length, points):
        s = spectrum_of(length, seed=length)
        examples.keep(fresh_store, {"m": s})
        found = fresh_store.decays(["m"], points)
        index = np.array(found["index"])
        assert len(index) <= points
        assert (index[0], index[-1]) == (1, length)
        assert (np.diff(index) > 0).all()
        np.testing.assert_array_equal(np.array(found["value"]), s[index - 1])
        if length <= points:
            np.testing.assert_array_equal(index, np.arange(1, length + 1))

    def test_the_points_of_a_decay_are_evenly_spaced_in_the_logarithm(self, fresh_store):
        examples.keep(fresh_store, {"m": spectrum_of(4096, seed=0)})
        index = np.array(fresh_store.decays(["m"], 64)["index"])
        wanted = np.unique(np.round(4096 ** (np.arange(64) / 63)).astype(int))
        np.testing.assert_array_equal(index, wanted)

    def test_sparks_are_evenly_spaced_and_keep_both_ends(self, fresh_store):
        values = {"short": spectrum_of(5, 0), "long": spectrum_of(1000, 1)}
        examples.keep(fresh_store, values)
        found = {
            row["key"]: row["values"] for row in fresh_store.sparks(["short", "long"]).to_pylist()
        }
        assert list(found) == ["short", "long"]
        np.testing.assert_array_equal(found["short"], values["short"])
        wanted = values["long"][[round(j * 999 / 23) for j in range(24)]]
        np.testing.assert_array_equal(found["long"], wanted)

    @pytest.mark.parametrize("tau", [0.5, 0.9, 0.95, 0.99])
    def test_energy_ranks_agree_with_a_plain_loop(self, fresh_store, tau):
        values = {f"m{seed}": spectrum_of(200, seed) for seed in range(8)}
        values["tied"] = np.full(10, 3.0)
        values["with zeros"] = np.array([4.0, 2.0, 1.0, 0.0, 0.0])
        values["all zero"] = np.zeros(4)
        values["huge"] = np.array([3e200, 2e200, 1e200])
        examples.keep(fresh_store, values)
        found = fresh_store.energy_ranks([*values, "missing"], tau)
        assert found["key"].to_pylist() == list(values)
        assert found["k"].to_pylist() == [energy_rank(s, tau) for s in values.values()]

    def test_all_the_energy_is_in_the_values_above_zero(self, fresh_store):
        examples.keep(fresh_store, {"m": [2.0, 1.0, 1.0, 0.0]})
        assert fresh_store.energy_ranks(["m"], 1.0)["k"].to_pylist() == [3]

    def test_a_threshold_or_a_number_of_points_out_of_bounds_is_refused(self, fresh_store):
        for tau in (0.0, 1.5, float("nan")):
            with pytest.raises(ValueError, match="expected 0 < tau <= 1"):
                fresh_store.energy_ranks(["m"], tau)
        with pytest.raises(ValueError, match="expected at least 2 points, got 1"):
            fresh_store.decays(["m"], 1)


def spectrum_of(length, seed):
    return np.sort(np.random.default_rng(seed).gamma(1.0, 2.0, length))[::-1]


def energy_rank(s, tau):
    """Return the smallest k that holds the share tau of the energy, by a plain loop."""
    squares = [(value / s[0]) ** 2 if s[0] > 0 else 0.0 for value in s]
    total, held = sum(squares), 0.0
    for k, square in enumerate(squares, start=1):
        held += square
        if total > 0 and held >= tau * total:
            return k
    return 0
