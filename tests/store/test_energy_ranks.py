"""Energy ranks against numpy, on spectra that add up exactly."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import Store
from tests.store import examples

# Powers of two over the largest: every sum is exact, so that ties at the threshold count.
exact = st.lists(st.integers(0, 12), min_size=1, max_size=40).map(
    lambda exponents: sorted((2.0**-e for e in exponents), reverse=True)
)
shares = st.sampled_from([0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0])


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("shared")) as store:
        yield store


@settings(max_examples=25, deadline=None)
@given(exact, st.integers(0, 5), shares, st.floats(1e-100, 1e100))
def test_energy_ranks_are_numpys_and_ignore_scale(shared_store, values, zeros, tau, scale):
    s = np.array(values + [0.0] * zeros)
    keys = [hashlib.sha256(part.tobytes()).hexdigest() for part in (s, s * scale)]
    examples.keep(shared_store, dict(zip(keys, (s, s * scale), strict=True)))
    held = np.cumsum((s / s[0]) ** 2)
    wanted = int(np.argmax(held >= tau * held[-1])) + 1
    found = dict(zip(*shared_store.energy_ranks(keys, tau).to_pydict().values(), strict=True))
    assert found[keys[0]] == wanted
    # Scaling rounds each value, so a tie at the threshold may fall either way.
    assert abs(found[keys[1]] - wanted) <= int(np.sum(np.isclose(held, tau * held[-1])))
