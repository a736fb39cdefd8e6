"""Hessians of transformers: their loss, their precision, their blocks, and what has none."""

import json
import os

import numpy as np
import pytest
import torch
import transformers

os.environ["HF_HUB_OFFLINE"] = "1"

from analysis import registry, sample
from analysis.hessian_rank import Params, hessian_rank, problem_of, work
from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.numerics.hessian.full_precision import FullPrecision
from analysis.registry import Quiet
from tests.analysis.tiny_transformers import tiny

FAMILIES = ("llama", "qwen3", "gpt2", "bert")


def saved(family, folder, **settings):
    tiny(family, **settings).save_pretrained(folder)
    return folder


def ids_file(folder, count=200, seed=0):
    path = folder / "ids.npy"
    np.save(path, np.random.default_rng(seed).integers(1, 29, count))
    return str(path)


def word_tokenizer(folder):
    """A tokenizer of 29 words, w5 to w28 and BERT's five special tokens."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(5, 29))]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    text = folder / "words.txt"
    drawn = np.random.default_rng(1).integers(5, 29, 400)
    text.write_text(" ".join(f"w{i}" for i in drawn))
    return str(text)


def rows(folder, layers, text, **params):
    model = OpenedModel.open(folder, layers=layers)
    chosen = Params(text=text, **({"windows": 2, "length": 8} | params))
    return list(hessian_rank(model, Inputs(model, text), chosen, Quiet()))


def naive(network, parameter, ids):
    """The Hessian of the mean next-token loss by autograd's own function."""
    name = next(n for n, p in network.named_parameters() if p is parameter)

    def loss(flat):
        with FullPrecision():
            out = torch.func.functional_call(network, {name: flat.view_as(parameter)}, (ids,))
        chances = out.logits[:, :-1].flatten(0, 1).log_softmax(-1)
        return -chances[torch.arange(len(chances)), ids[:, 1:].reshape(-1)].mean()

    return torch.autograd.functional.hessian(loss, parameter.detach().reshape(-1))


@pytest.mark.parametrize(
    ("family", "layer"), [("llama", "blocks.0.k"), ("llama", "blocks.1.v"), ("qwen3", "blocks.0.k")]
)
def test_a_block_is_the_hessian_of_the_next_token_loss(tmp_path, family, layer):
    folder, text = saved(family, tmp_path), ids_file(tmp_path)
    [row] = rows(folder, [layer], text)
    model = OpenedModel.open(folder)
    network = model.network(dtype=torch.float64)
    ids = Inputs(model, text).windows(2, 8)
    H = naive(network, model.block(network, layer).parameter, ids)
    expected = np.sort(np.linalg.eigvalsh(H.numpy()))
    assert np.sort(row.eigenvalues) == pytest.approx(expected, abs=1e-12 * np.abs(expected).max())
    assert row.data == "2 windows of 8 tokens, 14 predictions"
    assert (row.bound, row.bound_label) == (None, "no bound is known for transformers")
    assert row.split_residual < 1e-12


@pytest.mark.parametrize("layer", ["blocks.0.k", "embed"])
def test_estimates_agree_with_the_matrix(tmp_path, layer):
    folder, text = saved("llama", tmp_path), ids_file(tmp_path)
    [exact] = rows(folder, [layer], text)
    [row] = rows(folder, [layer], text, exact_limit=1, starts=30, steps=100, tolerance=1e-2)
    assert row.top_eigenvalues == pytest.approx(exact.top_eigenvalues, rel=1e-6)
    assert abs(row.trace - exact.trace) < 3 * row.trace_se
    size = np.abs(exact.eigenvalues)
    assert abs(row.rank - (size > row.threshold).sum()) < 4 * row.rank_se


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_runs_in_float64_throughout(family):
    """A difference over steps of 1e-5 shows how the outputs are rounded, and nothing else."""
    network = tiny(family).double()
    ids = torch.arange(1, 9)[None]
    name, parameter = next((n, p) for n, p in network.named_parameters() if p.dim() == 2)
    direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)).double()

    def outputs(t):
        moved = {name: parameter.detach() + t * direction}
        return torch.func.functional_call(network, moved, (ids,)).logits

    def roughness():
        """The fourth difference: h^4 f'''' for a smooth f, 16 times the rounding otherwise."""
        at = [outputs(k * 1e-5) for k in (-2, -1, 0, 1, 2)]
        fourth = at[0] - 4 * at[1] + 6 * at[2] - 4 * at[3] + at[4]
        return float(fourth.abs().max() / at[2].abs().max())

    with torch.no_grad():
        plain = roughness()
        with FullPrecision():
            assert outputs(0.0).dtype == torch.float64
            smooth = roughness()
    assert smooth < 1e-13
    if family in ("llama", "qwen3"):  # the others compute in the weights' own dtype
        assert plain > 1e-8


def test_a_tied_embedding_is_varied_in_both_its_places(tmp_path):
    folder, text = saved("llama", tmp_path, tie_word_embeddings=True), ids_file(tmp_path)
    [row] = rows(folder, ["embed"], text)
    model = OpenedModel.open(folder)
    network = model.network(dtype=torch.float64)
    H = naive(network, network.model.embed_tokens.weight, Inputs(model, text).windows(2, 8))
    assert row.trace == pytest.approx(float(H.trace()), rel=1e-10)


def test_the_parts_of_a_fused_weight_are_its_diagonal(tmp_path):
    folder, text = saved("gpt2", tmp_path), ids_file(tmp_path)
    names = ["blocks.0.qkv", "blocks.0.q", "blocks.0.k", "blocks.0.v"]
    found = {row.layer: row for row in rows(folder, names, text)}
    assert found["blocks.0.qkv"].parameters == 3 * found["blocks.0.q"].parameters
    parts = [found[name].trace for name in names[1:]]
    assert found["blocks.0.qkv"].trace == pytest.approx(sum(parts))
    [joint] = rows(folder, names, text, scope="whole")
    assert joint.parameters == 768
    assert joint.trace == pytest.approx(found["blocks.0.qkv"].trace)
    assert joint.layer == "all chosen matrices"
    total = sum(p.numel() for p in OpenedModel.open(folder).network().parameters())
    said = f"{total - 768:,} parameters of the model lie outside of the chosen matrices"
    assert said in joint.warning
    [two] = rows(folder, names[1:3], text, scope="whole")
    assert two.trace == pytest.approx(parts[0] + parts[1])


def test_a_masked_model_predicts_seeded_masks(tmp_path):
    folder = saved("bert", tmp_path)
    text = word_tokenizer(tmp_path)
    model = OpenedModel.open(folder, layers=["blocks.0.k"])
    network = model.network(dtype=torch.float64)
    inputs = Inputs(model, text)
    params = Params(text=text, windows=6, length=20)
    problem = problem_of(model, inputs, params, torch.float64)
    ids, masked = inputs.windows(6, 20), problem.objective.arguments["input_ids"]
    changed = masked != ids
    assert 5 < changed.sum() < 40
    assert (masked[changed] == 4).all()
    assert (ids[changed] > 4).all()
    assert f"{changed.sum()} masked and predicted" in problem.objective.words
    with torch.no_grad():
        out = network(masked).logits[changed]
    expected = torch.nn.functional.cross_entropy(out, ids[changed])
    found = problem.objective.products([model.block(network, "blocks.0.k")]).value
    assert found == pytest.approx(float(expected), rel=1e-12)
    again = problem_of(
        model, inputs, Params(text=text, windows=6, length=20, seed=1), torch.float64
    )
    assert not torch.equal(masked, again.objective.arguments["input_ids"])


def test_a_classifier_reads_labelled_texts(tmp_path):
    folder = saved("bert classifier", tmp_path)
    words = word_tokenizer(tmp_path)
    with pytest.raises(BadInput, match=r"is a classifier, and no labels are given: name a \.csv"):
        rows(folder, ["blocks.0.k"], words)
    with pytest.raises(BadInput, match="is a classifier"):
        work(OpenedModel.open(folder).source, Params(), ["blocks.0.k"])
    table = tmp_path / "texts.jsonl"
    lines = [{"text": f"w{i} w7 w9", "label": i % 3} for i in range(5, 17)]
    table.write_text("\n".join(json.dumps(line) for line in lines))
    [row] = rows(folder, ["blocks.1.v"], str(table), windows=12, length=6)
    assert row.data == "12 labelled texts of up to 6 tokens"
    assert row.rank_outer <= 12 * 2  # three classes: two numbers of each text count
    network = transformers.BertForSequenceClassification.from_pretrained(folder).double()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    given = tokenizer([line["text"] for line in lines], padding="max_length", max_length=6,
                      truncation=True, return_tensors="pt")  # fmt: skip
    with torch.no_grad():
        loss = network(**given, labels=torch.tensor([line["label"] for line in lines])).loss
    assert row.value == pytest.approx(float(loss), rel=1e-5)  # its token types are all zero


def test_a_classifier_that_names_no_padding_token_takes_its_tokenizers(tmp_path):
    folder = saved("llama classifier", tmp_path)
    word_tokenizer(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    table = tmp_path / "texts.csv"
    table.write_text("text,label\nw5 w7 w9,0\nw6,1\nw5 w8,2\n")
    [row] = rows(folder, ["blocks.0.k"], str(table), windows=3, exact_limit=1, starts=1, steps=2)
    (tmp_path / "config.json").write_text(json.dumps(config | {"pad_token_id": None}))
    [bare] = rows(folder, ["blocks.0.k"], str(table), windows=3, exact_limit=1, starts=1, steps=2)
    assert bare.value == row.value


@pytest.mark.parametrize("settings", [{"num_labels": 1}, {"problem_type": "regression"}])
def test_a_classifier_without_classes_is_refused(tmp_path, settings):
    folder = saved("bert classifier", tmp_path, **settings)
    (tmp_path / "texts.csv").write_text("text,label\nw5,0\n")
    with pytest.raises(NotRunnable, match="no choice among classes"):
        work(OpenedModel.open(folder).source, Params(text=str(tmp_path / "texts.csv")), [])


@pytest.mark.parametrize("name", ["hessian_rank", "tensorlens", "attention_entanglement"])
def test_an_adapter_takes_what_its_base_takes_and_its_own(name):
    found = registry.find(name)
    adapter, base = OpenedModel.open(sample.ADAPTER), OpenedModel.open(sample.MODEL)
    layers = adapter.layers
    own, alone = (found.work(m.source, found.params(), layers) for m in (adapter, base))
    assert own.bytes > alone.bytes
    assert own.seconds >= alone.seconds


def test_the_text_is_checked_before_the_launch(tmp_path):
    source = OpenedModel.open(sample.MODEL).source
    with pytest.raises(BadInput, match="has 256 positions, and windows of 300"):
        work(source, Params(length=300), ["blocks.0.k"])
    (tmp_path / "short.txt").write_text("too short")
    with pytest.raises(BadInput, match="give a longer text"):
        work(source, Params(text=str(tmp_path / "short.txt")), ["blocks.0.k"])
    table = tmp_path / "texts.csv"
    table.write_text("text,label\nw5,0\n")
    source = OpenedModel.open(saved("bert classifier", tmp_path)).source
    word_tokenizer(tmp_path)
    with pytest.raises(BadInput, match="has 1 texts, 4 are asked for"):
        work(source, Params(text=str(table), length=8), ["blocks.0.k"])


def test_a_model_without_a_head_is_refused(tmp_path):
    folder = saved("encoder", tmp_path)
    with pytest.raises(NotRunnable, match="has no head, so it has no loss to differentiate"):
        rows(folder, ["blocks.0.k"], ids_file(tmp_path))
    with pytest.raises(NotRunnable, match="has no head"):
        work(OpenedModel.open(folder).source, Params(), ["blocks.0.k"])


def test_a_state_dict_that_cannot_run_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"conv.weight": torch.ones(4, 3, 2, 2)}, tmp_path / "net.safetensors")
    model = OpenedModel.open(tmp_path / "net.safetensors")
    with pytest.raises(NotRunnable, match="nothing says how it runs"):
        work(model.source, Params(), model.layers)
    with pytest.raises(NotRunnable, match="nothing says how it runs"):
        list(hessian_rank(model, Inputs(model), Params(), Quiet()))


def test_a_text_that_is_too_short_is_refused(tmp_path):
    folder, text = saved("llama", tmp_path), ids_file(tmp_path, count=15)
    with pytest.raises(BadInput, match=r"has 15 tokens .* give a longer text"):
        rows(folder, ["blocks.0.k"], text)


def test_the_sample_runs_on_its_own_text():
    [row] = rows(sample.MODEL, ["blocks.0.k"], None, exact_limit=1, starts=2, steps=4, traces=3)
    assert row.text == "bundled held-out text"
    assert row.split_residual < 1e-10
    assert row.value < 8


def test_the_work_is_predicted_from_headers(tmp_path):
    folder = saved("llama", tmp_path)
    source = OpenedModel.open(folder).source
    layers = ["blocks.0.q", "blocks.0.k"]  # 256 and 128 parameters
    text = ids_file(tmp_path, count=8 * 999)
    small = {"text": text, "windows": 2, "length": 8}
    exact = work(source, Params(**small), layers)
    assert exact.words == "2 exact (up to 256 parameters): 384 Hessian products on 2 x 8 tokens"
    assert exact.bytes > 6 * 8 * 256**2
    mixed = work(source, Params(**small, exact_limit=200, starts=3, steps=10), layers)
    products = 128 + 100 + 30 + 80
    assert "1 exact (up to 128 parameters) and 1 estimated" in mixed.words
    assert f"{products} Hessian products" in mixed.words
    whole = {"scope": "whole", "exact_limit": 20000}
    joint = work(source, Params(**small, **whole), layers)
    assert "1 exact (up to 384 parameters)" in joint.words
    large = work(source, Params(**small | whole | {"windows": 999}), layers)
    assert large.cure == "choose fewer windows or shorter ones"
    assert large.bytes > 10 * joint.bytes
    assert large.seconds > joint.seconds


def test_each_way_to_ask_for_float32_gives_float64():
    x = torch.full((2,), 1 / 3, dtype=torch.float64)
    with FullPrecision():
        made = [x.float(), x.to(torch.float32), x.to(dtype=torch.float32), x.type(torch.float32)]
        made += [x.softmax(0, dtype=torch.float32), torch.zeros(2, dtype=torch.float32)]
    assert {y.dtype for y in made} == {torch.float64}
    assert torch.equal(made[0], x)
    assert x.float().dtype == torch.float32  # outside it is as ever
