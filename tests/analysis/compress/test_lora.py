"""LoRA trials: the factors are the best of their rank, and PEFT adds what they say."""

import json
import os
import shutil
import warnings

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

os.environ["HF_HUB_OFFLINE"] = "1"

from analysis.compress.lora import reduce as lora
from analysis.compress.lora.factors import energies
from analysis.compress.lora.merge import add
from analysis.compress.pieces import NonFiniteLayer, Statistics
from analysis.weights import open_model
from analysis.weights.matrix import Matrix
from analysis.weights.reading import load
from tests.analysis.tiny_transformers import tiny, window
from tests.analysis.weights import adapters

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
IDS = window(12)[None]
PREFIX = {"llama": "model.layers", "gpt2": "transformer.h"}
CHANGED = {
    "llama": ["0.self_attn.q_proj", "0.mlp.down_proj", "1.self_attn.k_proj"],
    "gpt2": ["0.attn.c_attn", "0.mlp.c_proj", "1.mlp.c_fc"],
}
NORM = {"llama": "model.norm.weight", "gpt2": "transformer.ln_f.weight"}
EMBEDDING = {"llama": "model.embed_tokens.weight", "gpt2": "transformer.wte.weight"}


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def statistics(n, seed=7):
    X = drawn(n, 3 * n, seed=seed) * torch.logspace(-1, 1, n, dtype=torch.float64)[:, None]
    return Statistics(tokens=3 * n, gram=X @ X.T / (3 * n), mean_abs=X.abs().mean(1))


def weighted(delta, found):
    """‖ΔW G^½‖², by the trace."""
    gram = torch.eye(delta.shape[1], dtype=delta.dtype) if found is None else found.gram
    return (delta @ gram * delta).sum().item()


def tails(delta, found):
    """Σ_{i>k} σᵢ² of ΔW G^½ for every k, by a symmetric root: the least error there is."""
    root = delta
    if found is not None:
        values, Q = torch.linalg.eigh(found.gram)
        root = delta @ Q @ values.clamp(min=0).sqrt().diag()
    squares = torch.linalg.svdvals(root).square()
    return [squares[k:].sum().item() for k in range(len(squares) + 1)]


def saved(network, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.save_pretrained(folder)
    return folder


def logits(network):
    with torch.no_grad():
        return network(input_ids=IDS)[0]


def adapted(base, folder):
    """The base with an adapter, as PEFT adds it."""
    import peft

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = transformers.AutoModelForCausalLM.from_pretrained(
            base, attn_implementation="eager"
        )
        return peft.PeftModel.from_pretrained(network, folder).eval()


@pytest.fixture(params=["llama", "gpt2"])
def pair(request, tmp_path):
    """A base, and a copy with an update of rank 3 in three modules; its family."""
    family = request.param
    base = saved(tiny(family), tmp_path / "base")
    shutil.copytree(base, tmp_path / "tuned")
    path = tmp_path / "tuned" / "model.safetensors"
    tensors = load_file(path)
    for i, module in enumerate(CHANGED[family]):
        name = f"{PREFIX[family]}.{module}.weight"
        m, n = tensors[name].shape
        change = 0.2 * drawn(m, 3, seed=i) @ drawn(3, n, seed=i + 9)
        tensors[name] = (tensors[name].double() + change).float()
    save_file(tensors, path, metadata={"format": "pt"})
    return base, tmp_path / "tuned", family


@pytest.mark.parametrize("known", [None, statistics(9)], ids=["plain", "whitened"])
@pytest.mark.parametrize("shape", [(14, 9), (6, 9)])
def test_an_extracted_update_is_the_best_of_every_rank(shape, known):
    W, delta = drawn(*shape), drawn(*shape, seed=1)
    B, A = lora.extract(W, W + delta, known)
    assert (B.shape, A.shape) == ((shape[0], min(shape)), (min(shape), shape[1]))
    least, whole = tails(delta, known), weighted(delta, known)
    for k, expected in enumerate(least):
        error = weighted(delta - B[:, :k] @ A[:k], known)
        assert error == pytest.approx(expected, abs=1e-10 * whole)
    assert energies(B, A, known).flip(0).cumsum(0).flip(0).tolist() == pytest.approx(
        least[:-1], abs=1e-10 * whole
    )
    assert torch.allclose(B.norm(dim=0), A.norm(dim=1))


@pytest.mark.parametrize("known", [None, statistics(9)], ids=["plain", "whitened"])
@pytest.mark.parametrize("shape", [(14, 5, 9), (4, 6, 9), (14, 12, 9)])
def test_a_shrunk_update_is_the_best_of_every_rank(shape, known):
    m, r, n = shape
    left, right = drawn(m, r), drawn(r, n, seed=1)
    B, A = lora.shrink(left, right, known)
    delta = left @ right
    least, whole = tails(delta, known), weighted(delta, known)
    for k in range(B.shape[1] + 1):
        error = weighted(delta - B[:, :k] @ A[:k], known)
        assert error == pytest.approx(least[min(k, len(least) - 1)], abs=1e-10 * whole)
    assert torch.allclose(B @ A, delta, atol=1e-10)


def test_shrinking_never_forms_the_product():
    left, right = drawn(300_000, 3), drawn(3, 300_000, seed=1)  # whose product has 720 GB
    B, A = lora.shrink(left, right)
    rows, cols = torch.arange(0, 300_000, 30_011), torch.arange(0, 300_000, 25_013)
    assert torch.allclose(B[rows] @ A[:, cols], left[rows] @ right[:, cols])


class Largest(TorchDispatchMode):
    """The numbers of the largest tensor that any operation answers with, but for one storage."""

    def __init__(self, besides):
        super().__init__()
        self.besides = besides.untyped_storage().data_ptr()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if torch.is_tensor(tensor) and tensor.untyped_storage().data_ptr() != self.besides:
                self.numbers = max(self.numbers, tensor.numel())
        return out


@pytest.mark.parametrize("kind", ["linear", "conv1d"])
def test_shrinking_and_merging_never_form_the_product(kind):
    """Nothing beside the weight is as large as it: Q, R and the factors hold (m + n) r at most."""
    m, n, r = 120, 90, 4
    network = torch.nn.Module()
    network.up = torch.nn.Linear(n, m) if kind == "linear" else transformers.Conv1D(m, n)
    weight = network.up.weight
    left, right = drawn(m, r), drawn(r, n, seed=1)
    before = weight.detach().clone()
    with Largest(besides=weight) as largest:
        B, A = lora.shrink(left, right)
        add(network, {"up": (B, A)})
    assert 0 < largest.numbers <= max(m, n) * r < m * n
    added = weight.detach() - before
    added = added if kind == "linear" else added.T
    torch.testing.assert_close(added, (left @ right).float(), rtol=0, atol=1e-4)


def test_an_update_of_zeros_has_factors_of_zeros():
    for B, A in (
        lora.shrink(torch.zeros(5, 2), torch.zeros(2, 4)),
        lora.extract(torch.ones(5, 4), torch.ones(5, 4)),
    ):
        assert not (B @ A).any()
        assert B.isfinite().all()
        assert A.isfinite().all()


def test_matrices_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="of one shape"):
        lora.extract(torch.ones(2, 3), torch.ones(3, 2))
    with pytest.raises(ValueError, match="that meet"):
        lora.shrink(torch.ones(2, 3), torch.ones(2, 3))


def test_an_extracted_adapter_makes_the_tuned_model_of_its_base(pair, tmp_path):
    base, tuned, family = pair
    found = lora.extract_source(open_model(tuned, base=base), rank=3)
    assert set(found.factors) == {f"{PREFIX[family]}.{module}" for module in CHANGED[family]}
    assert all(pair[1].shape[0] == 3 for pair in found.factors.values())
    assert found.conv1d == (family == "gpt2")
    assert found.skipped == []
    lora.write_adapter(tmp_path / "out", found.factors, "../base", {}, conv1d=found.conv1d)
    expected = logits(
        transformers.AutoModelForCausalLM.from_pretrained(tuned, attn_implementation="eager")
    )
    error = (logits(adapted(base, tmp_path / "out")) - expected).abs().max()
    assert error <= 1e-5 * expected.abs().max()
    for row in found.rows:
        changed = row.module in found.factors
        assert (row.rank_after, row.energy) == (3 if changed else 0, pytest.approx(1.0))
        assert row.numbers == sum(factor.numel() for factor in found.factors.get(row.module, ()))
    assert found.numbers == sum(row.numbers for row in found.rows)


def test_a_share_is_of_the_changed_matrices_and_never_above(pair):
    base, tuned, family = pair
    source = open_model(tuned, base=base)
    whole = {"llama": 16 * 16 + 16 * 24 + 8 * 16, "gpt2": 48 * 16 + 2 * 64 * 16}[family]
    ended = []
    for kept in (0.1, 0.3, 0.6):
        found = lora.extract_source(source, kept=kept)
        budget = int(kept * whole)
        assert found.numbers_before == whole
        assert found.numbers <= budget
        # What is left is no direction of a layer that still has some.
        open_ = [r.numbers // r.rank_after for r in found.rows if 0 < r.rank_after < 3]
        assert all(size > budget - found.numbers for size in open_)
        ended.append(sum(row.energy for row in found.rows))
    assert ended == sorted(ended)
    assert ended[0] < ended[-1]


def test_statistics_choose_other_directions(pair):
    base, tuned, _ = pair
    source = open_model(tuned, base=base)
    [first] = [u for u in lora.updates(source) if u.matrix.singular_values()[0] > 0][:1]
    known = {first.layer: statistics(first.matrix.shape[1])}
    delta = first.matrix.dense().double()
    errors = []
    for given in (None, known):
        B, A = lora.extract_source(source, rank=1, statistics=given).factors[first.module]
        errors.append(weighted(delta - B @ A, known[first.layer]))
    assert errors[1] == pytest.approx(tails(delta, known[first.layer])[1], rel=1e-6)
    assert errors[1] < 0.99 * errors[0]


def test_what_a_lora_cannot_carry_is_listed_where_it_changed(pair):
    base, tuned, family = pair
    path = tuned / "model.safetensors"
    tensors = load_file(path)
    for name in (NORM[family], EMBEDDING[family]):
        tensors[name] = tensors[name] + 1
    save_file(tensors, path, metadata={"format": "pt"})
    found = lora.extract_source(open_model(tuned, base=base), rank=1)
    reasons = dict(found.skipped)
    assert reasons.keys() == {NORM[family], EMBEDDING[family]}
    assert "norm" in reasons[NORM[family]]
    assert "embedding" in reasons[EMBEDDING[family]]


@pytest.fixture
def trained(tmp_path):
    """A Llama's base and an adapter of it with other ranks and scales in some modules."""
    base = saved(tiny("llama"), tmp_path / "base")
    folder = tmp_path / "adapter"
    adapters.save("patterns", tiny("llama"), folder)
    path = folder / "adapter_config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": "../base"})
    )
    return base, folder


def test_an_adapter_at_its_own_ranks_is_itself(trained, tmp_path):
    base, folder = trained
    found = lora.shrink_source(open_model(folder), kept=1)
    assert found.numbers == found.numbers_before
    assert {row.rank_after for row in found.rows} == {3, 5}
    lora.write_adapter(tmp_path / "out", found.factors, "../base", {})
    expected = logits(adapted(base, folder))
    error = (logits(adapted(base, tmp_path / "out")) - expected).abs().max()
    assert error <= 1e-5 * expected.abs().max()


def test_a_shrunk_adapter_adds_the_best_update_of_its_ranks(trained, tmp_path):
    _, folder = trained
    found = lora.shrink_source(open_model(folder), kept=0.5)
    assert found.numbers <= 0.5 * found.numbers_before
    assert len({row.rank_after for row in found.rows}) > 1
    lora.write_adapter(tmp_path / "out", found.factors, "../base", {"method": "lora"})
    before = adapters.added(tiny("llama"), folder)
    after = adapters.added(tiny("llama"), tmp_path / "out")
    for row in found.rows:
        delta = before[f"{row.module}.weight"]
        U, s, Vt = torch.linalg.svd(delta, full_matrices=False)
        best = U[:, : row.rank_after] * s[: row.rank_after] @ Vt[: row.rank_after]
        added = after.get(f"{row.module}.weight", torch.zeros_like(delta))
        # PEFT merges in float64 here, from factors stored in float32.
        assert torch.allclose(added, best, atol=1e-5 * s[0].item())
        share = s[: row.rank_after].square().sum() / s.square().sum()
        assert row.energy == pytest.approx(share.item(), rel=1e-5)
    assert json.loads((tmp_path / "out" / "trial.json").read_text())["method"] == "lora"


def test_the_written_adapter_is_read_back(trained, tmp_path):
    _, folder = trained
    found = lora.shrink_source(open_model(folder), rank=2)
    lora.write_adapter(tmp_path / "out", found.factors, "../base", {}, dtype=torch.float16)
    again = open_model(tmp_path / "out")
    modules = {row.layer: row.module for row in found.rows}
    for ref in again.matrices():
        B, A = found.factors[modules[ref.label.layer]]
        left, right = Matrix(load(ref), ref.label, "").factors()
        # Two factors rounded to 11 bits.
        assert (left @ right - B @ A).norm() <= 2**-10 * B.norm() * A.norm()


def test_another_type_of_adapter_is_extracted_and_not_shrunk(trained, tmp_path):
    _, folder = trained
    shutil.rmtree(folder)
    adapters.save("dora", tiny("llama"), folder)
    source = open_model(folder, base=tmp_path / "base")
    assert lora.shrink_source(source, rank=2).factors == {}
    assert {reason for _, reason in lora.shrink_source(source, rank=2).skipped} == {lora.NO_FACTORS}
    before = adapters.added(tiny("llama"), folder)
    found = lora.extract_source(source, rank=16)
    for path, (B, A) in found.factors.items():
        delta = before[f"{path}.weight"]
        assert torch.allclose(B @ A, delta, atol=1e-5 * delta.norm().item())


def test_refusals(trained, tmp_path):
    base, folder = trained
    source = open_model(folder)
    with pytest.raises(lora.NoUpdates, match="no adapter"):
        lora.shrink_source(open_model(base), rank=1)
    with pytest.raises(lora.NoUpdates, match="--base"):
        lora.extract_source(open_model(base), rank=1)
    for given in ({}, {"rank": 1, "kept": 0.5}):
        with pytest.raises(ValueError, match="either a rank or a share"):
            lora.shrink_source(source, **given)
    with pytest.raises(ValueError, match="at least 1"):
        lora.shrink_source(source, rank=0)
    with pytest.raises(lora.NothingToWrite, match="no adapter to write"):
        lora.write_adapter(tmp_path / "x", {}, "b", {})
    huge = {"q": (torch.full((2, 1), 1e6), torch.ones(1, 2))}
    with pytest.raises(NonFiniteLayer, match="q"):
        lora.write_adapter(tmp_path / "x", huge, "b", {}, dtype=torch.float16)
