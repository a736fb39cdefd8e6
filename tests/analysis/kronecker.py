"""T and b of a frozen transformer as LD x LD matrices, straight from the formulas.

Weights and attention patterns are the model's; every variance, ratio and product is formed here,
in float64, with no code of the package. vec stacks the tokens, so that y_i = sum_j A_ij M x_j is
kron(A, M).
"""

import torch


def each(M, length):
    """M at each token."""
    return torch.kron(torch.eye(length, dtype=M.dtype), M.contiguous())


def tile(b, length):
    return b.repeat(length)


class Built:
    """The product so far, and the stream it was formed at."""

    def __init__(self, x):
        self.length, self.width = x.shape
        self.x = x.flatten()
        self.T, self.b = torch.eye(len(self.x), dtype=x.dtype), torch.zeros_like(self.x)

    def then(self, M, c):
        self.T, self.b, self.x = M @ self.T, M @ self.b + c, M @ self.x + c

    def tokens(self):
        return self.x.view(self.length, -1)


def rms(x, norm):
    scale = (x.square().mean(-1) + norm.variance_epsilon) ** -0.5
    return torch.block_diag(*(torch.diag(norm.weight * s) for s in scale)), torch.zeros(x.numel())


def layer_norm(x, norm):
    D = x.shape[1]
    centre = torch.eye(D, dtype=x.dtype) - 1 / D
    scale = ((x - x.mean(-1, keepdim=True)).square().mean(-1) + norm.eps) ** -0.5
    blocks = [s * torch.diag(norm.weight) @ centre for s in scale]
    return torch.block_diag(*blocks), tile(norm.bias, len(x))


def attention(A, W_V, b_V, W_O, b_O):
    """A (H, L, L); W_V (G d, D); W_O (D, H d)."""
    heads, length, _ = A.shape
    d = W_O.shape[1] // heads
    shared = heads // (W_V.shape[0] // d)
    T, b = 0, tile(b_O, length)
    for h in range(heads):
        g = h // shared
        out, value = W_O[:, h * d : (h + 1) * d].contiguous(), slice(g * d, (g + 1) * d)
        T = T + torch.kron(A[h], out @ W_V[value])
        b = b + torch.kron(A[h], out) @ tile(b_V[value], length)
    return T, b


def bias_of(module, size):
    return torch.zeros(size) if module.bias is None else module.bias


def activated(x, W_1, b_1, activation, W_2, b_2):
    z = x @ W_1.T + b_1
    gate = torch.diag((activation(z) / z).flatten())
    down = each(W_2, len(x)) @ gate
    return down @ each(W_1, len(x)), down @ tile(b_1, len(x)) + tile(b_2, len(x))


def plus(identity, pair):
    return identity + pair[0], pair[1]


def llama(built, block, A):
    D = built.width
    eye = torch.eye(len(built.x))
    heads = block.self_attn
    N, n = rms(built.tokens(), block.input_layernorm)
    T, b = attention(
        A, heads.v_proj.weight, bias_of(heads.v_proj, heads.v_proj.weight.shape[0]),
        heads.o_proj.weight, bias_of(heads.o_proj, D),
    )  # fmt: skip
    built.then(eye + T @ N, T @ n + b)
    N, _ = rms(built.tokens(), block.post_attention_layernorm)
    x = (N @ built.x).view(built.length, D)
    g = x @ block.mlp.gate_proj.weight.T
    gate = torch.diag((g * torch.sigmoid(g)).flatten())
    down, up = (each(m.weight, built.length) for m in (block.mlp.down_proj, block.mlp.up_proj))
    built.then(eye + down @ gate @ up @ N, torch.zeros(len(built.x)))


def gpt2(built, block, A):
    D = built.width
    eye = torch.eye(len(built.x))
    fused, out = block.attn.c_attn, block.attn.c_proj
    N, n = layer_norm(built.tokens(), block.ln_1)
    T, b = attention(A, fused.weight[:, 2 * D :].T, fused.bias[2 * D :], out.weight.T, out.bias)
    built.then(eye + T @ N, T @ n + b)
    N, n = layer_norm(built.tokens(), block.ln_2)
    x = (N @ built.x + n).view(built.length, D)
    up, down = block.mlp.c_fc, block.mlp.c_proj
    T, b = activated(x, up.weight.T, up.bias, block.mlp.act, down.weight.T, down.bias)
    built.then(eye + T @ N, T @ n + b)


def bert(built, block, A):
    eye = torch.eye(len(built.x))
    value, out = block.attention.self.value, block.attention.output
    T, b = attention(A, value.weight, value.bias, out.dense.weight, out.dense.bias)
    built.then(eye + T, b)
    built.then(*layer_norm(built.tokens(), out.LayerNorm))
    up, down = block.intermediate.dense, block.output.dense
    gelu = block.intermediate.intermediate_act_fn
    x = built.tokens()
    built.then(*plus(eye, activated(x, up.weight, up.bias, gelu, down.weight, down.bias)))
    built.then(*layer_norm(built.tokens(), block.output.LayerNorm))


def built(family, network, frozen_at):
    """Return X, T, b of the whole model and of each block, at the ids `frozen_at` (L,)."""
    ids = frozen_at[None]
    dtype, before = network.dtype, torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.no_grad():
            patterns = network(ids, output_attentions=True).attentions
            return _built(family, network, ids, patterns)
    finally:
        torch.set_default_dtype(before)


def _built(family, network, ids, patterns):
    base = network.base_model
    places = torch.arange(ids.shape[1])
    if family == "bert":
        parts = base.embeddings
        x = parts.word_embeddings(ids[0]) + parts.position_embeddings(places)
        whole = Built(x + parts.token_type_embeddings.weight[0])
        whole.then(*layer_norm(whole.tokens(), parts.LayerNorm))
        blocks, add = base.encoder.layer, bert
    elif family == "gpt2":
        whole = Built(base.wte(ids[0]) + base.wpe(places))
        blocks, add = base.h, gpt2
    else:
        whole = Built(base.embed_tokens(ids[0]))
        blocks, add = base.layers, llama
    singles = []
    for block, A in zip(blocks, patterns, strict=True):
        single = Built(whole.tokens())
        add(single, block, A[0])
        add(whole, block, A[0])
        singles.append(single)
    if family == "gpt2":
        whole.then(*layer_norm(whole.tokens(), base.ln_f))
    elif family != "bert":
        whole.then(*rms(whole.tokens(), base.norm))
    return whole, singles
