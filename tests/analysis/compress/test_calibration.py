"""Statistics of layers against loops over what hooks and autograd give, token by token."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

os.environ["HF_HUB_OFFLINE"] = "1"

from analysis.compress.calibration import calibrate as c
from analysis.compress.calibration import sampled_tokens
from analysis.compress.pieces import NonFiniteLayer
from analysis.compress.trials.targets import Target, targets, weight
from analysis.networks.opened import OpenedModel
from analysis.numerics.hessian.full_precision import FullPrecision
from tests.analysis.evaluate.small_models import on_disk
from tests.analysis.tiny_transformers import tiny
from tests.analysis.weights.families import saved

SIX_BY_TWO = {"hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2}
CAUSAL = {
    "llama": {**SIX_BY_TWO, "attention_bias": True},
    "qwen3": {"tie_word_embeddings": True},
    "gpt2": {},
}
F64 = torch.float64
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def one_thread():
    """Matrices this small take longer to share out than to multiply."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def some_ids(windows, length, seed=0):
    return torch.randint(5, 29, (windows, length), generator=torch.Generator().manual_seed(seed))


def ready(folder, family, **settings):
    """The model, a float64 network of it, and all its targets."""
    tiny(family, **settings).save_pretrained(folder)
    opened = OpenedModel.open(folder)
    network = opened.network(dtype=F64)
    return opened, network, targets(opened, network)[0]


def observed(network, found, arguments):
    """Return the output, and by module its inputs and outputs in one ordinary pass."""
    seen = {}

    def note(path):
        def hook(_module, args, y):
            y.retain_grad()
            seen[path] = (args[0].detach(), y)

        return hook

    paths = {target.module for target in found}
    handles = [network.get_submodule(p).register_forward_hook(note(p)) for p in paths]
    with FullPrecision():
        output = network(**arguments)
    for handle in handles:
        handle.remove()
    return output, seen


def rows_of(target, values):
    flat = values.reshape(-1, values.shape[-1])
    return flat if target.rows is None else flat[:, slice(*target.rows)]


def nats(logits, labels):
    return -torch.stack([row.log_softmax(-1)[i] for row, i in zip(logits, labels, strict=True)])


def naive(network, found, ids, seed):
    """Loops over windows and tokens; every eighth window is held out."""
    drawing = torch.Generator().manual_seed(seed)
    names = ("gram", "mean_abs", "heldout", "A", "squared", "slope")
    sums = {t.layer: dict.fromkeys(names, 0) for t in found}
    tokens = predicted = sequences = held_tokens = 0
    for i, window in enumerate(ids):
        output, seen = observed(network, found, {"input_ids": window[None]})
        held = len(ids) >= 8 and i % 8 == 7
        for t in found:
            for x in seen[t.module][0].reshape(-1, t.shape[1]):
                sums[t.layer]["heldout" if held else "gram"] += torch.outer(x, x)
                sums[t.layer]["mean_abs"] += 0 if held else x.abs()
        if held:
            held_tokens += len(window)
            # The labels of a window are drawn in the order of the windows, held out or not.
            torch.multinomial(output.logits[0, :-1].softmax(-1), 1, generator=drawing)
            continue
        tokens, predicted, sequences = (
            tokens + len(window),
            predicted + len(window) - 1,
            sequences + 1,
        )
        logits = output.logits[0, :-1]
        labels = torch.multinomial(logits.detach().softmax(-1), 1, generator=drawing)[:, 0]
        nats(logits, labels).sum().backward(retain_graph=True)
        for t in found:
            for g in rows_of(t, seen[t.module][1].grad):
                sums[t.layer]["A"] += torch.outer(g, g)
        loss = nats(logits, window[1:]).mean()
        by_weight = torch.autograd.grad(
            loss, [network.get_submodule(t.module).weight for t in found]
        )
        for t, D in zip(found, by_weight, strict=True):
            D = D.T if t.conv1d else D
            D = D if t.rows is None else D[slice(*t.rows)]
            sums[t.layer]["squared"] += torch.stack([row.square() for row in D]).sum(0)
            sums[t.layer]["slope"] += D
    scale = {"gram": tokens, "mean_abs": tokens, "heldout": max(held_tokens, 1)}
    scale |= {"A": predicted, "squared": sequences, "slope": sequences}
    return tokens, {k: {f: v / scale[f] for f, v in s.items()} for k, s in sums.items()}


def close(a, b, tolerance=1e-12):
    assert a.dtype == F64
    assert (a - b).abs().max() <= tolerance * b.abs().max()


@pytest.mark.parametrize("family", CAUSAL)
def test_all_statistics_are_those_of_explicit_loops(tmp_path, family):
    opened, network, found = ready(tmp_path, family, **CAUSAL[family])
    ids = some_ids(10, 9)
    known = c.calibrate(opened, network, found, ids, c.Calibration(seed=3))
    tokens, expected = naive(network, found, ids, seed=3)
    assert known.keys() == {t.layer for t in found}
    for layer, s in known.items():
        assert s.tokens == tokens == 81
        close(s.gram, expected[layer]["gram"])
        close(s.mean_abs, expected[layer]["mean_abs"])
        close(s.heldout, expected[layer]["heldout"])
        close(s.gradient, expected[layer]["A"], 1e-10)
        close(s.squared, expected[layer]["squared"], 1e-10)
        close(s.slope.double(), expected[layer]["slope"], 1e-6)  # kept in float32


@pytest.mark.parametrize("windows", [5, 19])
@pytest.mark.parametrize("family", CAUSAL)
def test_the_sample_is_of_every_token_of_what_is_held_out(tmp_path, family, windows):
    """E[z²] over its tokens is Σ_t (g_tᵀ ΔW x_t)² over all predictions, here in explicit loops."""
    opened, network, found = ready(tmp_path, family, **CAUSAL[family])
    ids = some_ids(windows, 9)
    known = c.calibrate(opened, network, found, ids, c.Calibration(seed=3))
    drawing = torch.Generator().manual_seed(3)
    change = {t.layer: torch.randn(t.shape, dtype=F64) for t in found}
    z, predicted = [], 0
    for i, window in enumerate(ids):
        output, seen = observed(network, found, {"input_ids": window[None]})
        logits = output.logits[0, :-1]
        labels = torch.multinomial(logits.detach().softmax(-1), 1, generator=drawing)[:, 0]
        if windows >= 8 and i % 8 != 7:
            continue
        nats(logits, labels).sum().backward()
        predicted += len(logits)
        z.append({
            t.layer: torch.stack([
                g @ change[t.layer] @ x
                for g, x in zip(
                    rows_of(t, seen[t.module][1].grad), seen[t.module][0][0], strict=True
                )
            ])
            for t in found
        })  # fmt: skip
    total = 0
    for t in found:
        sample, whole = known[t.layer].sample, torch.cat([each[t.layer] for each in z])
        assert sample.X.shape == (1, len(whole), t.shape[1])
        assert sample.g.shape == (1, len(whole), t.shape[0])
        along = sample.along(change[t.layer])
        assert float(along.square().mean()) == pytest.approx(
            float(whole.square().sum()) / predicted, rel=1e-5
        )
        total = total + along
    assert len({known[t.layer].sample.name for t in found}) == 1
    whole = sum(torch.cat([each[t.layer] for each in z]) for t in found)
    assert float(total.square().mean()) == pytest.approx(
        float(whole.square().sum()) / predicted, rel=1e-5
    )


def test_the_sample_is_of_the_same_tokens_in_every_layer_and_of_no_more_than_asked(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sampled_tokens, "TOKENS", 7)
    opened, network, found = ready(tmp_path, "llama", **SIX_BY_TWO)
    ids = some_ids(24, 9)
    known = c.calibrate(opened, network, found, ids, c.Calibration(seed=3))
    last = found[-1]  # what the first block reads is the same wherever a token is the same
    q, k, o = (known[f"blocks.0.{role}"].sample for role in "qko")
    assert q.X.shape == (1, 7, 24)
    assert q.X is k.X is not o.X
    alone = c.calibrate(opened, network, [last], ids, c.Calibration(seed=3))
    assert torch.allclose(alone[last.layer].sample.g, known[last.layer].sample.g, rtol=1e-5)
    assert alone[last.layer].sample.name == known[last.layer].sample.name
    other = c.calibrate(opened, network, [last], ids, c.Calibration(seed=4))
    assert other[last.layer].sample.name != q.name
    inputs = torch.cat([
        observed(network, found, {"input_ids": ids[i][None]})[1][last.module][0][0]
        for i in (7, 15, 23)
    ])  # fmt: skip
    distances = torch.cdist(known[last.layer].sample.X[0].double(), inputs)
    at = distances.argmin(1)
    assert distances.min(1).values.max() < 1e-5
    assert (at.diff() > 0).all()  # in the text's order, none twice


def test_a_module_whose_rows_are_not_tokens_has_no_sample():
    class Picks(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(9, 4)
            self.every, self.some = nn.Linear(4, 9), nn.Linear(4, 9)

        def forward(self, input_ids):
            x = self.embed(input_ids)
            y = self.every(x)
            return SimpleNamespace(logits=torch.cat([y[:, :2] + self.some(x[:, :2]), y[:, 2:]], 1))

    torch.manual_seed(0)
    found = [Target(n, n, None, (9, 4), None, n, False) for n in ("every", "some")]
    opened = SimpleNamespace(task="causal")
    known = c.calibrate(opened, Picks(), found, torch.randint(9, (3, 6)), c.Calibration())
    assert known["every"].sample.X.shape == (1, 18, 4)
    assert known["some"].sample is None
    assert known["some"].gradient is not None


def test_scalar_and_diagonal_are_those_of_the_full_covariance(tmp_path):
    opened, network, found = ready(tmp_path, "gpt2")
    ids = some_ids(3, 8)
    full, diagonal, scalar, none = (
        c.calibrate(opened, network, found, ids, c.Calibration(gradient=kind))
        for kind in ("full", "diagonal", "scalar", "none")
    )
    for target in found:
        A, m = full[target.layer].gradient, target.shape[0]
        assert A.shape == (m, m)
        close(diagonal[target.layer].gradient, A.diagonal())
        close(scalar[target.layer].gradient, A.trace()[None] / m)
        assert (none[target.layer].gradient, none[target.layer].squared) == (None, None)
        close(none[target.layer].gram, full[target.layer].gram, 1e-14)
        close(diagonal[target.layer].squared, full[target.layer].squared, 1e-14)


def test_a_layer_alone_has_the_statistics_that_it_has_among_all(tmp_path):
    opened, network, found = ready(tmp_path, "llama", **SIX_BY_TWO)
    ids = some_ids(9, 8)
    for settings in (c.Calibration(), c.Calibration(gradient="none")):
        together = c.calibrate(opened, network, found, ids, settings)
        for target in found[::4]:
            alone = c.calibrate(opened, network, [target], ids, settings)[target.layer]
            close(alone.gram, together[target.layer].gram, 1e-14)
            if settings.gradient != "none":
                close(alone.gradient, together[target.layer].gradient)


@pytest.mark.parametrize("gradient", ["none", "full"])
def test_layers_of_one_input_share_its_matrices_and_others_do_not(tmp_path, gradient):
    opened, network, found = ready(tmp_path, "llama", num_key_value_heads=4)
    known = c.calibrate(opened, network, found, some_ids(8, 6), c.Calibration(gradient=gradient))
    for name in ("gram", "mean_abs", "heldout"):
        of = {layer: getattr(s, name) for layer, s in known.items()}
        for i in (0, 1):
            q, k, v, o, gate, up = (
                of[f"blocks.{i}.{m}"] for m in ("q", "k", "v", "o", "gate", "up")
            )
            assert q is k is v
            assert gate is up
            assert o is not q
            assert gate is not q
        assert of["blocks.0.q"] is not of["blocks.1.q"]
        assert len({id(matrix) for matrix in of.values()}) == 8


def test_an_input_that_was_written_to_is_another():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(9, 4)
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, input_ids):
            x = self.embed(input_ids)
            y = self.a(x)
            x = x.mul_(2)  # the same memory, other numbers
            return SimpleNamespace(logits=y + self.b(x))

    torch.manual_seed(0)
    network = Twice()
    found = [Target(name, name, None, (4, 4), None, name, False) for name in "ab"]
    opened = SimpleNamespace(task="causal")
    known = c.calibrate(
        opened, network, found, torch.randint(9, (2, 5)), c.Calibration(gradient="none")
    )
    close(known["b"].gram, 4 * known["a"].gram)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(4, 9) for _ in range(3))

    def forward(self, x, by):
        y = x.new_zeros(len(x), 9)
        for e, expert in enumerate(self.experts):
            chosen = by == e
            if chosen.any():
                y = y.index_add(0, chosen.nonzero()[:, 0], expert(x[chosen]))
        return y


class Routed(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.layers = nn.ModuleList([Block()])

    def forward(self, input_ids):
        y = self.layers[0](self.embed(input_ids)[0], input_ids[0] % 3)
        return SimpleNamespace(logits=y[None])


def test_an_expert_that_no_token_reaches_has_zeros_and_the_others_their_own():
    torch.manual_seed(1)
    network = Routed()
    found = [
        Target(f"e{e}", f"layers.0.experts.{e}", None, (9, 4), 0, "up", False) for e in range(3)
    ]
    ids = torch.tensor([[0, 3, 0, 3], [3, 1, 4, 6], [1, 0, 4, 1]])
    opened = SimpleNamespace(task="causal")
    for gradient in ("none", "full"):
        known = c.calibrate(opened, network, found, ids, c.Calibration(gradient=gradient))
        assert [known[f"e{e}"].tokens for e in range(3)] == [7, 5, 0]
        x = network.embed.weight.detach().double()[ids[ids % 3 == 1]]
        close(known["e1"].gram, x.T @ x / 5, 1e-6)
        assert not known["e2"].gram.any()
        if gradient == "full":
            assert not known["e2"].gradient.any()
            assert not known["e2"].squared.any()


def test_fewer_than_eight_windows_hold_none_out(tmp_path):
    opened, network, found = ready(tmp_path, "llama")
    seven = c.calibrate(opened, network, found[:1], some_ids(7, 6), c.Calibration())
    assert (seven["blocks.0.q"].tokens, seven["blocks.0.q"].heldout) == (42, None)


class Head(nn.Module):
    """A softmax regression on one and the same input at all positions."""

    def __init__(self, n, vocabulary):
        super().__init__()
        self.x = nn.Parameter(torch.randn(n, dtype=F64), requires_grad=False)
        self.head = nn.Linear(n, vocabulary, dtype=F64)

    def forward(self, input_ids):
        x = self.x.expand(*input_ids.shape, -1)
        return SimpleNamespace(logits=self.head(x))


def test_the_predicted_change_of_loss_is_the_measured_one():
    """One input, so the Fisher matrix is A ⊗ x xᵀ exactly and the change is KL(p, p').

    A is an average over 20,000 drawn labels (its relative error is about 1 %), and the change
    differs from its second order by O(‖ΔW x‖) of it.
    """
    torch.manual_seed(0)
    network, opened = Head(5, 4), SimpleNamespace(task="causal")
    target = Target("head", "head", None, (4, 5), None, "head", False)
    ids = torch.zeros(20, 1001, dtype=torch.int64)
    settings = c.Calibration(gradient="full")
    known = c.calibrate(opened, network, [target], ids, settings)["head"]
    p = network(ids[:1, :1]).logits[0, 0].softmax(-1).detach()
    exact = torch.diag(p) - torch.outer(p, p)
    assert (known.gradient - exact).norm() <= 0.05 * exact.norm()
    for seed in range(3):
        D = 0.01 * torch.randn(4, 5, dtype=F64, generator=torch.Generator().manual_seed(seed))
        predicted = 0.5 * ((D.T @ known.gradient @ D) * known.gram).sum()
        changed = (network.head.weight + D) @ network.x + network.head.bias
        measured = (p * (p.log() - changed.log_softmax(-1))).sum()
        assert abs(predicted / measured - 1) < 0.06


def test_masked_models_predict_masked_tokens_only(tmp_path):
    opened, _ = on_disk(tmp_path, "bert")
    network = opened.network(dtype=F64)
    found, _ = targets(opened, network)
    ids = some_ids(3, 14) % opened.config.vocab_size
    ids[:, 0], ids[:, -1] = opened.tokenizer().cls_token_id, opened.tokenizer().sep_token_id
    known = c.calibrate(opened, network, found, ids, c.Calibration(seed=5))
    inputs, asked = c.calibration_text.questions(opened, ids, 5)
    drawing, chosen = torch.Generator().manual_seed(5), inputs != ids
    A = {t.layer: 0 for t in found}
    gram = 0
    for window, labels in zip(inputs, asked, strict=True):
        output, seen = observed(network, found, {"input_ids": window[None]})
        logits = output.logits[0][labels >= 0]
        drawn = torch.multinomial(logits.detach().softmax(-1), 1, generator=drawing)[:, 0]
        nats(logits, drawn).sum().backward()
        for t in found:
            g = rows_of(t, seen[t.module][1].grad)
            A[t.layer] = A[t.layer] + g.T @ g
        gram = gram + sum(torch.outer(x, x) for x in seen[found[0].module][0][0])
    assert chosen.sum(1).tolist() == [1, 1, 1]
    close(known[found[0].layer].gram, gram / ids.numel())
    for t in found:
        close(known[t.layer].gradient, A[t.layer] / chosen.sum(), 1e-10)


def test_an_encoder_has_no_loss_and_so_no_gradients(tmp_path):
    opened, network, found = ready(tmp_path, "encoder")
    known = c.calibrate(opened, network, found, some_ids(2, 7), c.Calibration())
    for s in known.values():
        assert (s.gradient, s.squared, s.tokens) == (None, None, 14)
    _, seen = observed(network, found, {"input_ids": some_ids(2, 7)})
    x = seen["encoder.layer.1.output.dense"][0].reshape(14, -1)
    close(known["blocks.1.down"].gram, x.T @ x / 14)


@pytest.mark.parametrize("family", ["opt", "phi3", "gpt-neox", "roberta", "bloom"])
@pytest.mark.parametrize("gradient", ["none", "full"])
def test_other_families_pass(tmp_path, family, gradient):
    saved(family, tmp_path)
    opened = OpenedModel.open(tmp_path)
    network = opened.network()
    found, _ = targets(opened, network)
    ids = torch.randint(3, 64, (3, 8))
    known = c.calibrate(opened, network, found, ids, c.Calibration(gradient=gradient))
    for target in found:
        s = known[target.layer]
        assert s.gram.shape == (target.shape[1], target.shape[1])
        assert s.tokens == 24
        assert torch.linalg.eigvalsh(s.gram)[-1] > 0
        if gradient == "full" and opened.task == "causal":
            assert s.gradient.trace() > 0


def state(network):
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in network.modules()]
    flags = [p.requires_grad for p in network.parameters()]
    values = {name: p.clone() for name, p in network.state_dict().items()}
    return hooks, flags, [m.training for m in network.modules()], values


def alike(one, other):
    same = one[:3] == other[:3]
    return same and all(torch.equal(one[3][name], v) for name, v in other[3].items())


@pytest.mark.parametrize("gradient", ["none", "full"])
def test_the_network_is_left_as_it_was(tmp_path, gradient):
    opened, network, found = ready(tmp_path, "llama")
    network.train()
    network.model.norm.eval()
    network.lm_head.weight.requires_grad_(False)
    before, ids = state(network), some_ids(9, 6)
    random = torch.get_rng_state()
    c.calibrate(opened, network, found[:7], ids, c.Calibration(gradient=gradient))
    assert alike(before, state(network))
    assert torch.equal(random, torch.get_rng_state())
    assert all(p.grad is None for p in network.parameters())

    network.model.layers[1].mlp.up_proj.weight.data[3, 4] = float("nan")
    before[3]["model.layers.1.mlp.up_proj.weight"][3, 4] = 0
    with pytest.raises(NonFiniteLayer):
        c.calibrate(opened, network, found, ids, c.Calibration(gradient=gradient))
    after = state(network)
    after[3]["model.layers.1.mlp.up_proj.weight"][3, 4] = 0
    assert alike(before, after)


def test_a_pass_without_gradients_stops_behind_the_last_block_asked_for(tmp_path):
    opened, network, found = ready(tmp_path, "llama")
    passed = []
    network.lm_head.register_forward_hook(lambda *_: passed.append("head"))
    network.model.layers[0].register_forward_hook(lambda *_: passed.append("block 0"))
    network.model.layers[1].register_forward_hook(lambda *_: passed.append("block 1"))
    first = [target for target in found if target.block == 0]
    c.calibrate(opened, network, first, some_ids(5, 6), c.Calibration(gradient="none"))
    assert passed == ["block 0", "block 1", "head"] + ["block 0"] * 4


@pytest.mark.parametrize("gradient", ["none", "full"])
@pytest.mark.parametrize("asked", ["blocks.0.down", "blocks.1.q"])
def test_a_planted_nan_names_the_layer_it_lies_in(tmp_path, gradient, asked):
    opened, network, found = ready(tmp_path, "llama")
    network.model.layers[0].mlp.up_proj.weight.data[3, 4] = float("nan")
    chosen = [target for target in found if target.layer == asked]
    with pytest.raises(NonFiniteLayer, match="NaN or infinity") as caught:
        c.calibrate(opened, network, chosen, some_ids(2, 6), c.Calibration(gradient=gradient))
    assert caught.value.layer == "blocks.0.up"


def test_a_nan_behind_the_layers_asked_for_is_found_by_the_logits(tmp_path):
    opened, network, found = ready(tmp_path, "llama")
    network.lm_head.weight.data[3, 4] = float("inf")
    with pytest.raises(NonFiniteLayer) as caught:
        c.calibrate(opened, network, found[:1], some_ids(2, 6), c.Calibration())
    assert caught.value.layer == "head"


def test_a_gradient_that_is_not_finite_names_its_layer():
    class Overflow(torch.autograd.Function):
        @staticmethod
        def forward(_ctx, x):
            return x.clone()

        @staticmethod
        def backward(_ctx, g):
            return g * float("inf")

    class Broken(Head):
        def forward(self, input_ids):
            return SimpleNamespace(logits=Overflow.apply(super().forward(input_ids).logits))

    torch.manual_seed(0)
    target = Target("head", "head", None, (4, 5), None, "head", False)
    ids = torch.zeros(1, 5, dtype=torch.int64)
    with pytest.raises(NonFiniteLayer, match="head: the gradient of its output"):
        c.calibrate(SimpleNamespace(task="causal"), Broken(5, 4), [target], ids, c.Calibration())


def test_the_same_seed_gives_the_same_numbers_and_another_other_labels(tmp_path):
    opened, network, found = ready(tmp_path, "llama")
    ids = some_ids(2, 8)
    a, b, other = (
        c.calibrate(opened, network, found[:2], ids, c.Calibration(seed=seed))["blocks.0.q"]
        for seed in (1, 1, 2)
    )
    assert torch.equal(a.gradient, b.gradient)
    assert not torch.equal(a.gradient, other.gradient)
    assert torch.equal(a.squared, other.squared)


def distinct(known):
    """All tensors of these statistics, each once."""
    fields = [held for s in known.values() for held in vars(s).values()]
    samples = [s.sample for s in known.values() if s.sample is not None]
    held = [*fields, *(t for sample in samples for t in (sample.X, sample.g))]
    return {id(t): t for t in held if isinstance(t, torch.Tensor)}.values()


def test_files_keep_everything_and_what_is_shared_once(tmp_path):
    opened, network, found = ready(tmp_path / "model", "gpt2")
    for gradient, windows in (("full", 8), ("diagonal", 3), ("none", 8)):
        settings = c.Calibration(gradient=gradient)
        known = c.calibrate(opened, network, found, some_ids(windows, 6), settings)
        path = tmp_path / "statistics.safetensors"
        c.save(path, known)
        again = c.load(path)
        assert list(again) == list(known)
        for layer, s in known.items():
            for name in ("gram", "mean_abs", "heldout", "gradient", "squared", "slope"):
                one, other = getattr(s, name), getattr(again[layer], name)
                assert (one is other is None) or torch.equal(one, other)
            assert again[layer].tokens == s.tokens
            assert (s.sample is None) == (again[layer].sample is None) == (gradient == "none")
            if s.sample is not None:
                assert again[layer].sample.name == s.sample.name
                assert torch.equal(again[layer].sample.X, s.sample.X)
                assert torch.equal(again[layer].sample.g, s.sample.g)
        assert again["blocks.0.q"].gram is again["blocks.0.v"].gram
        sampled = 6 if windows >= 8 else 18
        predicted = c.bytes_of(found, gradient, heldout=windows >= 8, sampled=sampled)
        assert predicted == sum(t.nbytes for t in distinct(known))
        assert 0 < path.stat().st_size - predicted < 16_000  # the header
        assert c.load(path, ["blocks.1.up"]).keys() == {"blocks.1.up"}
        with pytest.raises(KeyError):
            c.load(path, ["blocks.7.up"])


@pytest.mark.parametrize("family", ["llama", "qwen2", "opt", "bert", "phi3", "gpt-neox"])
def test_the_predicted_size_is_that_of_what_is_found(tmp_path, family):
    saved(family, tmp_path)
    opened = OpenedModel.open(tmp_path)
    network = opened.network()
    found, _ = targets(opened, network)
    known = c.calibrate(
        opened, network, found, torch.randint(3, 64, (8, 6)), c.Calibration(gradient="none")
    )
    held = {id(t): t.nbytes for s in known.values() for t in (s.gram, s.mean_abs, s.heldout)}
    assert sum(held.values()) == c.bytes_of(found, "none")


def test_groups_are_runs_of_blocks_that_fit():
    def block(i, n=8):
        return Target(f"blocks.{i}.up", f"layers.{i}.up", None, (4, n), i, "up", False)

    one = c.bytes_of([block(0)], "full")
    assert one == 8 * (2 * 64 + 8 + 16 + 8) + 4 * (32 + 2048 * (8 + 4))
    found = [block(i) for i in range(5)]
    assert c.plan_groups(found) == [[0, 1, 2, 3, 4]]
    assert c.plan_groups(found, 2 * one) == [[0, 1], [2, 3], [4]]
    assert c.plan_groups(found, 2 * one - 1) == [[0], [1], [2], [3], [4]]
    assert c.plan_groups(found, 1) == [[0], [1], [2], [3], [4]]
    head = Target("head", "lm_head", None, (9, 8), None, "head", False)
    assert c.plan_groups([*found, head], 3 * one) == [[0, 1, 2], [3, 4], [None]]
    assert c.plan_groups([]) == []


def test_settings_that_mean_nothing_are_refused(tmp_path):
    opened, network, found = ready(tmp_path, "llama")
    with pytest.raises(ValueError, match="expected a gradient of none, scalar"):
        c.calibrate(opened, network, found, some_ids(1, 4), c.Calibration(gradient="half"))
    assert c.calibrate(opened, network, [], some_ids(1, 4), c.Calibration()) == {}


def test_weights_whiten_what_the_layer_gives(tmp_path):
    """‖W G^½‖² is the mean energy of the output: the two orientations of G or W would differ."""
    opened, network, found = ready(tmp_path, "gpt2")
    ids = some_ids(4, 9)
    known = c.calibrate(opened, network, found, ids, c.Calibration(gradient="none"))
    _, seen = observed(network, found, {"input_ids": ids})
    for target in found:
        W, b = weight(network, target), network.get_submodule(target.module).bias
        b = b if target.rows is None else b[slice(*target.rows)]
        y = rows_of(target, seen[target.module][1]) - b
        energy = (W @ known[target.layer].gram * W).sum()
        assert energy.item() == pytest.approx(y.square().sum(1).mean().item(), rel=1e-10)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_is_that_of_the_sums_and_of_one_window(tmp_path):
    """What a window leaves takes 4.4 MB in float64: 32 that were kept would take 140 MB."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests/analysis/compress/calibration_memory.py", tmp_path, "32"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    grown, predicted = map(int, done.stdout.split())
    assert grown < predicted + 80e6
