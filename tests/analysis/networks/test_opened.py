"""The network made from files is the one transformers makes, and its blocks are the layers."""

import os

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

os.environ["HF_HUB_OFFLINE"] = "1"

from analysis import sample
from analysis.networks.errors import NotRunnable
from analysis.networks.opened import OpenedModel
from analysis.weights import load

LLAMA = LlamaConfig(
    vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32,
)  # fmt: skip
GPT2 = GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=4, n_positions=32)
BERT = BertConfig(
    vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
    num_attention_heads=4, max_position_embeddings=32,
)  # fmt: skip


def saved(model, folder):
    model.eval().save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    ("kind", "config", "task"),
    [
        (LlamaForCausalLM, LLAMA, "causal"),
        (GPT2LMHeadModel, GPT2, "causal"),
        (BertForMaskedLM, BERT, "masked"),
        (BertModel, BERT, "encoder"),
    ],
)
def test_the_network_answers_as_the_model_that_was_saved(tmp_path, kind, config, task):
    torch.manual_seed(0)
    model = saved(kind(config), tmp_path)
    opened = OpenedModel.open(tmp_path)
    assert (opened.runs, opened.task) == ("transformer", task)
    ids = torch.randint(40, (2, 9))
    with torch.no_grad():
        ours, theirs = opened.network()(input_ids=ids)[0], model(input_ids=ids)[0]
    assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize(("kind", "config"), [(LlamaForCausalLM, LLAMA), (GPT2LMHeadModel, GPT2)])
def test_each_layer_is_a_block_of_the_running_network(tmp_path, kind, config):
    torch.manual_seed(1)
    saved(kind(config), tmp_path)
    opened = OpenedModel.open(tmp_path)
    network = opened.network()
    refs = {ref.label.layer: ref for ref in opened.source.matrices()}
    for layer in opened.layers:
        block, ref = opened.block(network, layer), refs[layer]
        stored = load(ref).rows(0, ref.shape[0])
        seen = block.values if ref.view.row_axis == 0 else block.values.T
        assert torch.equal(seen, stored), layer
        assert block.values.numel() == ref.shape[0] * ref.shape[1]


def test_float64_and_a_second_derivative_are_to_be_had(tmp_path):
    saved(LlamaForCausalLM(LLAMA), tmp_path)
    network = OpenedModel.open(tmp_path).network(dtype=torch.float64)
    weight = network.model.layers[0].self_attn.k_proj.weight
    loss = network(input_ids=torch.arange(8)[None]).logits.square().sum()
    [first] = torch.autograd.grad(loss, weight, create_graph=True)
    [second] = torch.autograd.grad(first.sum(), weight)
    assert weight.dtype == torch.float64
    assert second.abs().max() > 0


def test_weights_that_are_not_in_the_files_are_not_made_up(tmp_path):
    saved(LlamaForCausalLM(LLAMA), tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(NotRunnable, match=r"lack 1 weights .*would be random"):
        OpenedModel.open(tmp_path).network()


def test_a_model_without_a_tokenizer_says_what_to_give(tmp_path):
    saved(LlamaForCausalLM(LLAMA), tmp_path)
    with pytest.raises(NotRunnable, match=r"no tokenizer .*--set text=IDS\.npy"):
        OpenedModel.open(tmp_path).tokenizer()


def test_an_unknown_family_is_a_sentence(tmp_path):
    save_file({"w": torch.ones(4, 4)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "nobody_knows"}')
    with pytest.raises(NotRunnable, match="transformers cannot run"):
        OpenedModel.open(tmp_path).network()


def test_an_unknown_layer_is_a_sentence():
    with pytest.raises(NotRunnable, match=r"has no layer .blocks\.9\.q."):
        OpenedModel.open(sample.MODEL, layers=["blocks.9.q"])


def chained(folder, **tensors):
    save_file({name.replace("__", "."): t.double() for name, t in tensors.items()}, folder)
    return OpenedModel.open(folder)


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh"])
def test_a_chain_of_linear_weights_runs(tmp_path, activation):
    generator = torch.Generator().manual_seed(2)
    # The tenth layer is named so that sorting by letters would put it second.
    sizes = {f"{i}": (5, 5) for i in range(1, 10)} | {"10": (3, 5)}
    made = {f"{n}__weight": torch.randn(*s, generator=generator) for n, s in sizes.items()}
    made["10__bias"] = torch.randn(3, generator=generator)
    opened = chained(tmp_path / "mlp.safetensors", **made)
    assert opened.runs == "chain"
    x = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    function = {"linear": lambda v: v, "relu": torch.relu, "tanh": torch.tanh}[activation]
    y = x
    for name in sizes:
        y = y @ made[f"{name}__weight"].double().T
        y = y + made["10__bias"].double() if name == "10" else function(y)
    assert torch.allclose(opened.network(dtype=torch.float64, activation=activation)(x), y)


def test_a_convolution_under_a_linear_layer_runs(tmp_path):
    torch.manual_seed(3)
    conv, head = torch.nn.Conv1d(2, 4, 3, bias=False), torch.nn.Linear(4 * 6, 5, bias=False)
    opened = chained(
        tmp_path / "cnn.safetensors", conv__weight=conv.weight.data, head__weight=head.weight.data
    )
    x = torch.randn(3, 2, 8)
    expected = head(conv(x).flatten(1))
    assert torch.allclose(opened.network()(x), expected, atol=1e-6)
    from analysis.networks import chain

    assert chain.input_shape(chain.layers_of(opened.source)) == (2, 8)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({"a__weight": (4, 5), "b__weight": (3, 5)}, "b.weight does not follow a.weight"),
        ({"a__weight": (4, 3, 2, 2)}, r"holds a.weight \(4 x 3 x 2 x 2\)"),
        ({"a__weight": (4, 5), "scale": (3,)}, "holds scale"),
    ],
)
def test_what_is_no_chain_says_why(tmp_path, shapes, said):
    opened = chained(
        tmp_path / "net.safetensors", **{name: torch.ones(*shape) for name, shape in shapes.items()}
    )
    with pytest.raises(NotRunnable, match=said):
        opened.network()


def test_an_adapter_runs_merged_into_its_base():
    ids = torch.arange(3, 19)[None]
    adapted = OpenedModel.open(sample.ADAPTER)
    base = OpenedModel.open(sample.MODEL).network(dtype=torch.float64)
    network = adapted.network(dtype=torch.float64)
    refs = {ref.label.layer: ref for ref in adapted.source.matrices()}
    assert set(adapted.layers) == set(refs)
    for layer in adapted.layers:
        rows = refs[layer].shape[0]
        update = load(refs[layer]).rows(0, rows).double()
        before, after = (adapted.block(net, layer).values for net in (base, network))
        # The merge is made in float32.
        assert torch.allclose(after - before, update, atol=4e-7 * before.abs().max().item()), layer
    with torch.no_grad():
        assert not torch.allclose(network(input_ids=ids).logits, base(input_ids=ids).logits)


def test_a_pair_runs_as_its_fine_tuned_model(tmp_path):
    for name, seed in (("base", 0), ("tuned", 1)):
        torch.manual_seed(seed)
        saved(LlamaForCausalLM(LLAMA), tmp_path / name)
    pair = OpenedModel.open(tmp_path / "tuned", base=str(tmp_path / "base"))
    tuned = OpenedModel.open(tmp_path / "tuned").network()
    ids = torch.arange(8)[None]
    with torch.no_grad():
        assert torch.equal(pair.network()(input_ids=ids).logits, tuned(input_ids=ids).logits)
    assert pair.block(tuned, "blocks.1.k").name == "model.layers.1.self_attn.k_proj.weight"


def files(folder, *names):
    """A Llama's folder with one more file of other weights for each name; the sums of |w|."""
    sums = {}
    saved(LlamaForCausalLM(LLAMA), folder)
    for seed, name in enumerate(names, start=5):
        torch.manual_seed(seed)
        tensors = LlamaForCausalLM(LLAMA).state_dict()
        if name.endswith(".safetensors"):
            save_file(tensors, folder / name)  # without transformers' own mark
        else:
            torch.save(tensors, folder / name)
        sums[name] = sum(float(t.abs().sum()) for t in tensors.values())
    return sums


def size(opened):
    return sum(float(p.detach().abs().sum()) for p in opened.network().parameters())


@pytest.mark.parametrize("name", ["step_00100.safetensors", "other.bin", "pytorch_model.bin"])
def test_the_file_that_was_opened_runs_and_not_its_neighbour(tmp_path, name):
    sums = files(tmp_path, name)
    opened = OpenedModel.open(tmp_path / name, allow_pickle=name.endswith(".bin"))
    assert size(opened) == pytest.approx(sums[name])
    whole = OpenedModel.open(tmp_path)
    assert size(whole) != pytest.approx(sums[name])
    # The folder's own choice is not changed by opening a file of it by its name.
    assert size(OpenedModel.open(tmp_path / "model.safetensors")) == pytest.approx(size(whole))


def test_a_folder_whose_one_file_has_a_name_of_its_own_runs(tmp_path):
    sums = files(tmp_path, "weights.safetensors")
    (tmp_path / "model.safetensors").unlink()
    assert size(OpenedModel.open(tmp_path)) == pytest.approx(sums["weights.safetensors"])


def test_shards_without_their_index_run(tmp_path):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LLAMA)
    model.save_pretrained(tmp_path, max_shard_size="8KB")
    (tmp_path / "model.safetensors.index.json").unlink()
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    expected = sum(float(p.detach().abs().sum()) for p in model.parameters())
    assert size(OpenedModel.open(tmp_path)) == pytest.approx(expected)


def test_a_pair_and_a_series_of_files_run_as_their_newest(tmp_path):
    names = ("step_1.safetensors", "step_2.safetensors")
    sums = files(tmp_path, *names)
    pair = OpenedModel.open(tmp_path / names[1], base=str(tmp_path / names[0]))
    assert size(pair) == pytest.approx(sums[names[1]])
    (tmp_path / "model.safetensors").unlink()
    series = OpenedModel.open(tmp_path)
    assert [step.number for step in series.source.steps] == [1, 2]
    assert size(series) == pytest.approx(sums[names[1]])


def test_a_file_that_lacks_weights_is_refused(tmp_path):
    files(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "part.safetensors")
    with pytest.raises(NotRunnable, match="lack 1 weights"):
        OpenedModel.open(tmp_path / "part.safetensors").network()


def chain_of(folder, **shapes):
    tensors = {f"{name}__weight": torch.ones(*shape) for name, shape in shapes.items()}
    opened = chained(folder / "chain.safetensors", **tensors)
    from analysis.networks import chain

    return [layer.name for layer in chain.layers_of(opened.source)]


def test_sizes_give_the_order_where_names_do_not(tmp_path):
    shapes = {"input": (5, 4), "hidden": (6, 5), "output": (3, 6)}
    assert chain_of(tmp_path, **shapes) == ["input", "hidden", "output"]
    shapes = {"fc2": (5, 5), "fc10": (5, 5), "conv1": (5, 2, 3)}
    assert chain_of(tmp_path, **shapes) == ["conv1", "fc2", "fc10"]
    # Two names with the same number: the sizes decide between the stems alone.
    shapes = {"fc1": (5, 8), "fc2": (3, 5), "conv1": (4, 2, 3), "conv2": (4, 4, 3)}
    assert chain_of(tmp_path, **shapes) == ["conv1", "conv2", "fc1", "fc2"]


def test_two_orders_that_fit_are_refused(tmp_path):
    shapes = dict.fromkeys(("input", "hidden", "output"), (6, 6))
    with pytest.raises(NotRunnable, match=r"nothing says .* → .* both fit: put a number into"):
        chain_of(tmp_path, **shapes)
    with pytest.raises(NotRunnable, match="12 weights run cannot be found"):
        chain_of(tmp_path, **dict.fromkeys("abcdefghijk", (6, 6)), z=(7, 8))
