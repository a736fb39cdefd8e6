"""Entanglement of real weights, of a real adapter and of real attention."""

import math

import numpy as np
import pytest
from safetensors.numpy import load_file

from analysis import attention_entanglement, entanglement, weights
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet
from analysis.weights.matrix import Matrix
from tests.models.folders import FOLDER, needs

STORIES, ADAPTER = FOLDER / "stories260k", FOLDER / "lora_stories260k_shakespeare"
MINILM = FOLDER / "all-MiniLM-L6-v2-fp16"
pytestmark = [pytest.mark.models, needs(STORIES.name)]


def measured(path, draws):
    for ref in weights.open_model(path).matrices():
        matrix = Matrix(weights.load(ref), ref.label, ref.label.layer)
        [row] = entanglement.entanglement(matrix, entanglement.Params(draws=draws))
        yield ref.label.layer, row


def naive(W, left):
    s = np.linalg.svd(W.reshape(int(left), -1), compute_uv=False) ** 2
    p = s[s > 1e-30 * s.max()] / s.sum()
    return float(-(p * np.log(p)).sum())


def test_an_adapter_is_cut_as_its_product_and_keeps_below_its_rank():
    stored = load_file(ADAPTER / "adapter_model.safetensors")
    [a] = [name for name in stored if "layers.0.self_attn.q_proj.lora_A" in name]
    product = stored[a.replace("lora_A", "lora_B")].astype(float) @ stored[a].astype(float)
    rows = dict(measured(ADAPTER, draws=3))
    assert len(rows) == 35
    own = rows["blocks.0.q"]
    assert own.entropy == pytest.approx([naive(product, left) for left in own.left], abs=1e-9)
    for row in rows.values():
        assert row.numerical_rank == 4
        assert row.entropy_row_column < math.log(4)
        assert (np.array(row.entropy) <= np.array(row.rank_bound) + 1e-9).all()


def test_trained_weights_are_below_noise_and_below_their_bounds():
    rows = dict(measured(STORIES, draws=0))
    assert len(rows) == 36
    assert np.mean([row.deficit for row in rows.values()]) > 0.1
    for row in rows.values():
        assert (np.array(row.entropy) <= np.array(row.maximum) + 1e-9).all()


@pytest.mark.parametrize(("path", "mask"), [(STORIES, "causal"), (MINILM, "none")])
def test_attention_grows_with_the_text(path, mask):
    model = OpenedModel.open(path)
    params = attention_entanglement.Params(windows=4, longest=64)
    rows = list(
        attention_entanglement.attention_entanglement(model, Inputs(model), params, Quiet())
    )
    assert {row.mask for row in rows} == {mask}
    assert all(0 <= row.entropy <= row.maximum for row in rows)
    means = [row for row in rows if row.head is None]
    assert all(row.slope_low > 0 for row in means)
