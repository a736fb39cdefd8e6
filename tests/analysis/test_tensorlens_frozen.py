"""The frozen map against the real classes, the Kronecker formulas, and its own algebra."""

import pytest
import torch
from torch import nn

from analysis.networks.errors import NotRunnable
from analysis.networks.lens.freezing import freeze, ratio
from analysis.networks.lens.frozen import missed, run
from tests.analysis.kronecker import built
from tests.analysis.tiny_transformers import CLASSES, FAMILIES, GATED_FAMILIES, tiny, window

BITS = 1e-10  # float64, a few dozen products of matrices whose norms are of order one
HEADED = [name for name in CLASSES if name != "encoder"]


@pytest.fixture
def exact_norms(monkeypatch):
    """RMSNorms that compute in the dtype of their input, not in float32."""
    from transformers.models.llama import modeling_llama
    from transformers.models.mistral import modeling_mistral
    from transformers.models.qwen2 import modeling_qwen2
    from transformers.models.qwen3 import modeling_qwen3

    def forward(self, x):
        return self.weight * x * (x.square().mean(-1, keepdim=True) + self.variance_epsilon) ** -0.5

    for norm in (
        modeling_llama.LlamaRMSNorm,
        modeling_mistral.MistralRMSNorm,
        modeling_qwen2.Qwen2RMSNorm,
        modeling_qwen3.Qwen3RMSNorm,
    ):
        monkeypatch.setattr(norm, "forward", forward)


def materialised(span):
    """T as an (L, D', L, D) tensor, one column at a time."""
    L, D = span.X.shape
    columns = span.apply(torch.eye(L * D, dtype=span.X.dtype).view(L * D, L, D))
    return columns.flatten(1).T.reshape(L, -1, L, D)


def square(T):
    return T.flatten(2).flatten(0, 1)


@pytest.mark.parametrize("gating", ["up", "gate", "half"])
@pytest.mark.parametrize("family", CLASSES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_map_gives_what_the_real_class_gives(family, seed, gating):
    frozen = freeze(tiny(family, seed), window(12, seed), gating)
    for span in (
        frozen.span(),
        frozen.span(normed=False),
        frozen.span(0, 1),
        frozen.span(1, 2),
        frozen.span(1, 2, normed=False),
    ):
        assert span.incompleteness <= 1e-5
        assert missed(span.affine(span.X), span.Y) <= 1e-5
    assert torch.equal(frozen.span(1, 2).X, frozen.span(0, 1).Y)


@pytest.mark.parametrize("family", FAMILIES)
def test_with_norms_in_float64_nothing_is_missed(family, exact_norms):
    frozen = freeze(tiny(family, dtype=torch.float64), window(12))
    assert frozen.span().incompleteness <= BITS


def test_the_real_norms_compute_in_float32():
    frozen = freeze(tiny("llama", dtype=torch.float64), window(12))
    assert BITS < frozen.span().incompleteness <= 1e-6


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_blocks_equal_the_kronecker_formulas(family, seed, exact_norms):
    network, ids = tiny(family, seed, torch.float64), window(5, seed)
    frozen = freeze(network, ids)
    whole, singles = built(family, network, ids)
    compared = [(frozen.span(), whole), (frozen.span(1, 2, normed=False), singles[1])]
    if family != "bert":  # its first block brings the norm of the embeddings along
        compared.append((frozen.span(0, 1), singles[0]))
    for span, naive in compared:
        T = square(materialised(span))
        assert torch.linalg.norm(T - naive.T) <= BITS * torch.linalg.norm(naive.T)
        assert torch.linalg.norm(span.bias.flatten() - naive.b) <= BITS * (1 + naive.b.norm())
        assert torch.linalg.norm(naive.x - span.Y.flatten()) <= BITS * naive.x.norm()


@pytest.mark.parametrize("family", FAMILIES)
def test_linear_about_its_bias(family):
    span = freeze(tiny(family, dtype=torch.float64), window(8)).span()
    left, right = span.affine(2 * span.X) - span.bias, 2 * (span.affine(span.X) - span.bias)
    assert missed(left, right) <= BITS
    V = torch.randn(3, *span.X.shape, dtype=torch.float64, generator=torch.Generator())
    assert missed(span.apply(V[0] - 3 * V[1]), span.apply(V)[0] - 3 * span.apply(V)[1]) <= BITS


@pytest.mark.parametrize("family", FAMILIES)
def test_the_product_of_the_blocks_is_the_whole(family):
    frozen = freeze(tiny(family, dtype=torch.float64, **_layers(family, 3)), window(5))
    product, bias = torch.eye(5 * 16, dtype=torch.float64), torch.zeros(80, dtype=torch.float64)
    for start in range(3):
        span = frozen.span(start, start + 1)
        T = square(materialised(span))
        product, bias = T @ product, T @ bias + span.bias.flatten()
    assert missed(product, square(materialised(frozen.span()))) <= BITS
    assert missed(bias + 1, frozen.span().bias.flatten() + 1) <= BITS
    later = square(materialised(frozen.span(1, 3)))
    first = square(materialised(frozen.span(0, 1)))
    assert missed(later @ first, product) <= BITS


def _layers(family, count):
    return {"n_layer": count} if family == "gpt2" else {"num_hidden_layers": count}


@pytest.mark.parametrize("family", FAMILIES)
def test_no_token_of_a_decoder_reaches_back(family):
    frozen = freeze(tiny(family), window(9))
    norms = materialised(frozen.span()).square().sum((1, 3))
    above = norms.triu(1)
    assert frozen.causal == (family != "bert")
    assert (above.max() == 0) == frozen.causal


@pytest.mark.parametrize("family", FAMILIES)
def test_the_transpose(family):
    span = freeze(tiny(family, dtype=torch.float64), window(5)).span()
    W = torch.randn(2, 5, 16, dtype=torch.float64, generator=torch.Generator())
    T = square(materialised(span))
    assert missed(span.transposed(W).flatten(1), W.flatten(1) @ T) <= BITS


@pytest.mark.parametrize("family", HEADED)
def test_logits_are_linear_in_the_final_hidden_states(family):
    network, ids = tiny(family), window(10)
    frozen = freeze(network, ids)
    with torch.no_grad():
        real = network(ids[None]).logits
    real = real.reshape(-1, real.shape[-1])
    assert torch.equal(frozen.logits, real)
    tokens = torch.arange(10) % real.shape[-1]
    w, k = frozen.directions(tokens)
    span = frozen.span()
    found = (w * (span.apply(span.X) + span.bias)).sum(-1) + k
    if frozen.readout is None:
        expected = real[torch.arange(10), tokens]
    else:
        assert found.isnan().sum() == 9
        expected, found = real[0, tokens[frozen.readout]], found[frozen.readout]
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5 * real.abs().max().item())


def test_without_a_head_there_are_no_directions():
    frozen = freeze(tiny("encoder"), window(4))
    assert frozen.logits is None
    with pytest.raises(ValueError, match="expected a model with a head"):
        frozen.directions(window(4))


def test_gpt2_without_its_bias_is_far_off():
    span = freeze(tiny("gpt2"), window(12)).span()
    assert missed(span.apply(span.X), span.Y) > 0.3


def test_the_gating_conventions_agree_in_value_and_not_in_tensor(exact_norms):
    network, ids = tiny("llama", dtype=torch.float64), window(6)
    T = {g: square(materialised(freeze(network, ids, g).span())) for g in ("up", "gate", "half")}
    x = network.model.embed_tokens(ids).flatten().detach()
    assert missed(T["gate"] @ x, T["up"] @ x) <= BITS
    assert missed(T["half"] @ x, T["up"] @ x) <= BITS
    assert missed(T["gate"], T["up"]) > 0.1
    assert 0.05 < missed(T["half"], T["up"]) < missed(T["gate"], T["up"])


def test_it_is_not_the_jacobian(exact_norms):
    network, ids = tiny("llama", dtype=torch.float64), window(6)
    span = freeze(network, ids).span()

    def hidden(X):
        return network.model(inputs_embeds=X[None]).last_hidden_state[0]

    J = torch.autograd.functional.jacobian(hidden, span.X).flatten(2).flatten(0, 1)
    T = square(materialised(span))
    assert missed(J, T) > 0.1
    assert missed(T @ span.X.flatten(), span.Y.flatten()) <= BITS
    assert missed(J @ span.X.flatten(), span.Y.flatten()) > 0.1


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_without_attention_and_feed_forward_only_the_norm_is_left(family):
    network, ids = tiny(family, dtype=torch.float64), window(5)
    base = network.base_model
    outs = (
        [m for b in base.layers for m in (b.self_attn.o_proj, b.mlp.down_proj)]
        if family == "llama"
        else [m for b in base.h for m in (b.attn.c_proj, b.mlp.c_proj)]
    )
    with torch.no_grad():
        for module in outs:
            module.weight.zero_()
            if module.bias is not None:
                module.bias.zero_()
    span = freeze(network, ids).span()
    norm = base.norm if family == "llama" else base.ln_f
    eye = torch.eye(16, dtype=torch.float64)
    centre = eye if family == "llama" else eye - 1 / 16
    eps = norm.variance_epsilon if family == "llama" else norm.eps
    blocks = [
        norm.weight.detach().diag() @ centre * ((centre @ x).square().mean() + eps) ** -0.5
        for x in span.X
    ]
    T = square(materialised(span))
    assert missed(T, torch.block_diag(*blocks)) <= BITS
    if family == "llama":
        assert torch.equal(T, T.diag().diag())


@pytest.mark.parametrize(
    ("activation", "slope"),
    [(nn.GELU(), 0.5), (nn.GELU("tanh"), 0.5), (nn.SiLU(), 0.5), (nn.Tanh(), 1), (nn.ReLU(), 0)],
)
def test_the_ratio_at_zero_is_the_slope(activation, slope):
    z = torch.tensor([-2.0, -1e-3, 0.0, 1e-44, 0.5, 3.0], dtype=torch.float64)
    found = ratio(activation, z)
    assert found[2].item() == slope
    assert torch.allclose(found * z, activation(z), rtol=1e-14, atol=0)
    assert ratio(activation, z.float())[3].item() == pytest.approx(slope, abs=1e-6)


def test_an_activation_that_is_not_zero_at_zero_is_refused():
    with pytest.raises(NotRunnable, match=r"the activation is 0\.5 at 0"):
        ratio(torch.sigmoid, torch.ones(2))


@pytest.mark.parametrize("network", [nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Linear(3, 3)])
def test_a_network_without_attention_is_refused(network):
    with pytest.raises(NotRunnable, match="cannot be frozen here, for only the blocks of llama"):
        freeze(network, window(4))


def test_a_family_that_is_not_known_is_refused():
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    config = GPTNeoXConfig(
        vocab_size=29, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    with pytest.raises(NotRunnable, match="GPTNeoXForCausalLM cannot be frozen"):
        freeze(GPTNeoXForCausalLM(config), window(4))


@pytest.mark.parametrize("bounds", [(0, 3), (1, 1), (-1, 2), (2, None)])
def test_a_span_without_blocks_is_refused(bounds):
    frozen = freeze(tiny("llama"), window(4))
    with pytest.raises(ValueError, match="expected 0 <= start < stop <= 2 blocks"):
        frozen.span(*bounds)


@pytest.mark.parametrize("gated", GATED_FAMILIES)
def test_an_unknown_gating_is_refused(gated):
    with pytest.raises(ValueError, match="expected a gating"):
        freeze(tiny(gated), window(4), "both")


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_a_head_is_run_piece_by_piece(family):
    frozen = freeze(tiny(family), window(7))
    assert missed(run(frozen.head, frozen.hidden, biased=True), frozen.logits) <= 1e-6
