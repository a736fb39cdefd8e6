"""What each storage form counts and refuses, and how codes are packed."""

import pytest
import torch

from analysis.compress.forms import (
    Compensated,
    Merged,
    Parts,
    Quantised,
    RowInterpolative,
    TensorTrain,
    TwoFactor,
)
from analysis.compress.forms.quantised import packed_codes, unpacked_codes
from tests.analysis.compress.forms import FORMS, codes, normal, quantised


def test_two_factors_count_k_times_m_plus_n():
    form = TwoFactor(normal(4, 10), normal(12, 4), normal(12))
    assert (form.numbers(), form.index_bytes()) == (4 * (12 + 10), 0)


@pytest.mark.parametrize("rank", [0, 1, 4, 10])
def test_rows_count_k_times_m_plus_n_less_k_and_four_bytes_a_pivot(rank):
    B, A = normal(12, rank), normal(rank, 10, seed=1)
    form = RowInterpolative.of(B, A)
    assert (form.numbers(), form.index_bytes()) == (rank * (12 + 10 - rank), 4 * rank)
    assert form.stored_bytes(torch.float16) == 2 * rank * (22 - rank) + 4 * rank
    assert form.largest() == (form.C.abs().max().item() if rank else 0.0)


@pytest.mark.parametrize("shape", [(64, 48), (48, 64), (64, 64)])
@pytest.mark.parametrize("rank", [1, 16, 40, 48])
@pytest.mark.parametrize("seed", range(3))
def test_rows_in_float32_are_as_good_as_factors(shape, rank, seed):
    U, s, Vt = torch.linalg.svd(normal(*shape, seed=seed), full_matrices=False)
    B, A = (U * s)[:, :rank], Vt[:rank]
    form = RowInterpolative.of(B, A).float()
    exact = B @ A
    assert (form.dense().double() - exact).norm() <= 1e-6 * exact.norm()
    assert form.largest() <= 10


@pytest.mark.parametrize("bits", [8, 4, 3])
@pytest.mark.parametrize("total", [1, 7, 8, 9, 120])
def test_codes_survive_being_packed_to_the_byte(bits, total):
    given = codes(1, total, bits, seed=total)
    packed = packed_codes(given, bits)
    size = {8: total, 4: -(-total // 2), 3: -(-total // 8) * 3}[bits]
    assert (packed.dtype, packed.shape) == (torch.uint8, (size,))
    assert torch.equal(unpacked_codes(packed, bits, total), given.flatten().int())


def test_eight_codes_of_three_bits_are_one_number_of_24():
    given = torch.tensor([1, 2, 3, 4, 5, 6, 7, 0], dtype=torch.uint8)
    number = sum(int(code) << 3 * place for place, code in enumerate(given))
    assert bytes(packed_codes(given, 3).tolist()) == number.to_bytes(3, "little")
    two = torch.tensor([0xA, 0x5], dtype=torch.uint8)
    assert packed_codes(two, 4).tolist() == [0x5A]


@pytest.mark.parametrize("bits", [2, 5, 16])
def test_other_bits_are_refused(bits):
    with pytest.raises(ValueError, match=f"expected bits of 8, 4, 3, got {bits}"):
        packed_codes(codes(2, 2, 1), bits)


@pytest.mark.parametrize("bits", [4, 3])
def test_a_code_that_does_not_fit_is_refused(bits):
    with pytest.raises(ValueError, match=f"expected uint8 codes below {2**bits}"):
        packed_codes(torch.tensor([2**bits], dtype=torch.uint8), bits)


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("bits", [8, 4, 3])
@pytest.mark.parametrize("group", [0, 4, 10, 64])
def test_a_packed_matrix_is_scale_times_code_less_zero(bits, group, zeros):
    form = quantised(bits=bits, group=group, zeros=zeros)
    given = codes(12, 10, bits)
    size, groups = (group, -(-10 // group)) if group else (10, 1)
    scale = ((normal(12, groups, seed=3).abs() + 0.5) / 8).half().double()
    zero = codes(12, groups, bits, seed=4).double() if zeros else None
    for i in range(12):
        for j in range(10):
            z = zero[i, j // size] if zeros else 2 ** (bits - 1)
            expected = scale[i, j // size] * (given[i, j].double() - z)
            assert form.dense()[i, j].double() == expected
    packed = {8: 120, 4: 60, 3: 45}[bits]
    beside = 12 * groups * (4 if zeros else 2)
    assert (form.numbers(), form.index_bytes()) == (120, beside)
    assert form.stored_bytes(torch.float32) == packed + beside


def test_scales_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected scales and zeros of shape \(12, 3\)"):
        Quantised(codes(12, 10, 4), normal(12, 2), None, 4, 4)


def test_a_correction_counts_beside_what_it_corrects():
    form = Compensated(quantised(), normal(12, 2), normal(2, 10))
    assert form.numbers() == 120 + 2 * (12 + 10)
    assert form.stored_bytes(torch.float16) == 60 + 12 * 3 * 4 + 2 * 2 * 22
    assert form.index_bytes() == 12 * 3 * 4
    assert form.spec()["bias"] is True
    assert [name for name, _ in form.named_parameters() if "bias" in name] == ["bias"]


def test_parts_count_all_that_they_hold():
    form = FORMS["parts"]()
    assert form.numbers() == 4 * 22 + 30 + 120 + 20
    assert form.out_features == 12 + 3 + 12 + 2


def test_parts_stand_in_row_order():
    first, second = Merged(normal(3, 5)), Merged(normal(2, 5, seed=1), normal(2))
    whole = Parts([first, second])
    assert torch.equal(whole.dense(), torch.cat([first.weight, second.weight]))
    x = normal(4, 5)
    assert torch.equal(whole(x), torch.cat([first(x), second(x)], -1))


def test_parts_of_other_inputs_are_refused():
    with pytest.raises(ValueError, match=r"expected parts of one input, got inputs of \[4, 5\]"):
        Parts([Merged(normal(3, 5)), Merged(normal(3, 4))])


@pytest.mark.parametrize(
    "shapes", [[(1, 2, 3, 4), (3, 2, 2, 1)], [(2, 2, 3, 1)], [(1, 2, 3, 4), (4, 2, 2, 2)]]
)
def test_bonds_that_do_not_meet_are_refused(shapes):
    with pytest.raises(ValueError, match="expected cores whose bonds meet"):
        TensorTrain([normal(*shape) for shape in shapes])


def test_a_train_is_its_sum_over_bonds():
    G, H = normal(1, 3, 2, 4), normal(4, 2, 5, 1, seed=1)
    W = TensorTrain([G, H]).dense().reshape(3, 2, 2, 5)
    for o, p in ((0, 0), (2, 1), (1, 0)):
        for i, j in ((0, 0), (1, 4), (0, 3)):
            expected = sum(G[0, o, i, c] * H[c, p, j, 0] for c in range(4))
            assert W[o, p, i, j].item() == pytest.approx(expected.item(), abs=1e-12)
