import numpy as np
import pytest

from analysis.compress.allocation.storage import costs, index_bytes


@pytest.mark.parametrize(
    ("rows", "cols", "break_even"), [(4096, 4096, 2048), (11008, 4096, 2985), (4096, 11008, 2985)]
)
def test_two_factors_break_even_where_the_table_says(rows, cols, break_even):
    held = costs(rows, cols, "two_factor")
    assert held[-1] == rows * cols
    # At 4096 x 4096 rank 2048 holds just as much as the layer: nothing is saved, it stays dense.
    largest = len(held) - 2
    assert largest == break_even - (break_even * (rows + cols) == rows * cols)
    assert (largest + 1) * (rows + cols) >= rows * cols


def test_the_row_interpolative_form_never_holds_more_than_the_layer():
    held = costs(384, 1536, "row_interpolative")
    rank = np.arange(384)
    assert len(held) == 385
    np.testing.assert_array_equal(held[:-1], rank * 1536 + (384 - rank) * rank)
    assert (np.diff(held) > 0).all()


@pytest.mark.parametrize(("form", "share"), [("two_factor", 0.400), ("row_interpolative", 0.553)])
def test_a_square_layer_at_eight_tenths_keeps_what_the_design_says(form, share):
    held = costs(4096, 4096, form)
    rank = np.searchsorted(held, 0.8 * 4096**2, "right") - 1
    assert rank / 4096 == pytest.approx(share, abs=5e-4)


@pytest.mark.parametrize("form", ["two_factor", "row_interpolative"])
@pytest.mark.parametrize("shape", [(2, 2), (2, 9), (9, 2), (1, 5)])
def test_every_rank_up_to_the_last_saves_and_the_next_would_not(form, shape):
    held = costs(*shape, form)
    assert held[0] == 0
    assert (np.diff(held) > 0).all()
    last = len(held) - 2
    beyond = last + 1
    if form == "two_factor":
        assert beyond * sum(shape) >= shape[0] * shape[1]
    else:
        assert beyond == min(shape)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="expected a form of two_factor, row_interpolative"):
        costs(4, 4, "pifa")


def test_row_indices_count_in_bytes_but_for_dense_layers():
    rank, dense = np.array([3, 5]), np.array([False, True])
    assert index_bytes(rank, dense, "row_interpolative").tolist() == [12, 0]
    assert index_bytes(rank, dense, "two_factor").tolist() == [0, 0]
