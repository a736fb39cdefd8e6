"""LASER: the asked share of the rank, merged back."""

import pytest
import torch

from analysis.compress import laser
from analysis.compress.registry import find
from tests.analysis.compress.calibrated import normal, piece


@pytest.mark.parametrize(("share", "rank"), [(0.1, 2), (0.29, 5), (1.0, 20), (0.0, 1), (0.6, 12)])
def test_laser_keeps_a_share_of_the_rank_and_saves_nothing(share, rank):
    given = piece(normal(20, 31).float())
    params = laser.Params(share)
    tensors = laser.laser([given], params)
    [option] = laser.options([given], tensors, params)
    assert (option.numbers, option.bytes, option.values) == (620, 0, (rank,))
    U, s, Vt = torch.linalg.svd(given.W.double(), full_matrices=False)
    assert option.error == pytest.approx(float(s[rank:].square().sum()), abs=1e-10)
    modules = laser.build([given], tensors, option, params)
    found = modules["blocks.0.q"].dense()
    assert found.shape == (20, 31)
    wanted = (U[:, :rank] * s[:rank] @ Vt[:rank]).float()
    torch.testing.assert_close(found.detach(), wanted, rtol=1e-5, atol=1e-5)
    assert modules["blocks.0.q"].numbers() == 620


def test_laser_declares_that_it_saves_nothing():
    method = find("laser")
    assert (method.sizes, method.sized, method.merged) == ("own", False, True)


def test_a_share_is_the_decimal_that_was_written():
    """In binary 0.29 of 100 is a little less than 29."""
    assert int(0.29 * 100) == 28
    assert laser.rank_of(piece(torch.ones(100, 100)), 0.29) == 29
