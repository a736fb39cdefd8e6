"""What a trial says of its quality, computed again, naively, from the model that it saved."""

import hashlib
import json

import pytest
import torch

from analysis.compress.calibration import calibrate as calibration
from analysis.compress.export import loading
from analysis.compress.trials.specs import Spec
from analysis.compress.trials.stages import STATISTICS
from analysis.compress.trials.targets import targets, weight
from analysis.evaluate.protocol import Protocol, windows
from tests.analysis.compress.staged import file_of, logits, ranked, staged

pytestmark = pytest.mark.usefixtures("one_thread")
SPECS = {
    "two factors": ranked("two_sided_svd", 0.6),
    "rows": ranked("svd", 0.7, "uniform", "row_interpolative"),
    "eora": Spec("rtn", {"bits": "3", "group": "8"}, compensation="eora", compensation_rank=2),
    "plain eora": Spec("rtn", {"bits": "3"}, compensation="svd", compensation_rank=2),
    "tucker": Spec("tucker", kept=0.85),
    "mpo": Spec("mpo", kept=0.7),
    "laser": Spec("laser", {"rank_share": "0.5"}),
    "whole": ranked("svd", 1.0),
}


@pytest.fixture(scope="module", params=["llama", "gpt2", "bert", "half"])
def stages(request, tmp_path_factory):
    return staged(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def saved(stages):
    """Each trial's row and folder, and the network that is loaded from there."""
    found = {}

    def get(name):
        if name not in found:
            row, folder = stages.saved(SPECS[name])
            found[name] = (row, folder, loading.load(folder))
        return found[name]

    return get


def dense_matrices(stages, network):
    """W' of each layer, from what was loaded: a fused module's parts one after the other."""
    found, _ = targets(stages.opened, stages.opened.network())
    for target in found:
        module = network.get_submodule(target.module)
        if hasattr(module, "dense"):
            W = module.dense()
        elif hasattr(module, "parts"):
            W = torch.cat([p.dense() if hasattr(p, "dense") else p.weight for p in module.parts])
        else:
            W = module.weight.T if target.conv1d else module.weight
        yield target, (W if target.rows is None else W[slice(*target.rows)]).detach().double()


@pytest.mark.parametrize("name", SPECS)
def test_the_saved_model_gives_the_numbers_that_were_reported(stages, saved, name):
    row, _, network = saved(name)
    protocol = Protocol("stream", 12, 8)
    cut = windows(stages.opened, stages.params.evaluate, protocol)
    made = stages.made(SPECS[name])
    assert torch.equal(logits(network), logits(made.network))
    if stages.opened.task == "causal":
        losses = torch.nn.functional.cross_entropy(
            logits(network, cut.ids)[:, :-1].transpose(1, 2), cut.ids[:, 1:], reduction="none"
        )
        assert row.nats == pytest.approx(losses.double().sum(1).tolist(), rel=1e-5)
        assert row.counts == (11,) * 8
        assert row.score == pytest.approx(float(losses.double().mean()), rel=1e-5)
        assert row.perplexity == pytest.approx(float(losses.double().mean().exp()), rel=1e-5)


@pytest.mark.parametrize("name", SPECS)
def test_layers_lose_what_the_saved_matrices_say(stages, saved, name):
    row, _, network = saved(name)
    folder = next(iter(stages.statistics().values()))
    known = calibration.load(folder / STATISTICS)
    dense = stages.opened.network()
    layers = {one["layer"]: one for one in json.loads(row.layers)}
    total, z, own = 0.0, {}, {}
    for target, made in dense_matrices(stages, network):
        one, of = layers[target.layer], known[target.layer]
        W = weight(dense, target).double()
        lost = W - made
        assert one["error"] == pytest.approx(norm(lost) / norm(W), rel=1e-6, abs=1e-12)
        for column, G in (("whitened", of.gram), ("heldout", of.heldout)):
            seen = (trace(lost, G) / trace(W, G)) ** 0.5
            assert one[column] == pytest.approx(seen, rel=1e-6, abs=1e-9)
        [X], [g] = of.sample.X.double(), of.sample.g.double()
        z[target.layer] = torch.stack([b @ lost @ x for x, b in zip(X, g, strict=True)])
        curvature = 0.5 * float(z[target.layer].square().mean())
        assert one["curvature"] == pytest.approx(curvature, rel=1e-6, abs=1e-12)
        own[target.layer] = -float((of.slope.double() * lost).sum())
        total += one["predicted"]
    whole = sum(z.values())
    for layer, along in z.items():
        share = own[layer] + 0.5 * float((along * whole).mean())
        assert layers[layer]["predicted"] == pytest.approx(share, rel=1e-5, abs=1e-9)
    expected = sum(own.values()) + 0.5 * float(whole.square().mean())
    assert row.predicted == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert row.predicted == pytest.approx(total, rel=1e-12, abs=1e-15)


def norm(matrix):
    return float(torch.linalg.norm(matrix))


def trace(matrix, G):
    return float(torch.trace(matrix @ G @ matrix.T))


@pytest.mark.parametrize("name", SPECS)
def test_the_difference_is_of_the_same_windows(saved, name):
    row, _, _ = saved(name)
    assert len(row.nats) == len(row.dense_nats) == len(row.counts) == 8
    more = [a - b for a, b in zip(row.nats, row.dense_nats, strict=True)]
    assert row.delta == pytest.approx(sum(more) / sum(row.counts), rel=1e-12, abs=1e-15)
    assert row.delta == pytest.approx(row.score - row.dense_score, rel=1e-9, abs=1e-12)
    assert row.delta_low <= row.delta <= row.delta_high
    if name == "whole":
        assert (row.delta, row.delta_low, row.delta_high) == (0.0, 0.0, 0.0)
        assert row.nats == row.dense_nats
    else:
        assert row.delta_low < row.delta_high


def test_factors_are_what_a_half_can_hold(stages, saved):
    _, folder, _ = saved("two factors")
    stored = next(iter(file_of(stages.folder.parent / "model").values())).dtype
    made = stages.made(SPECS["two factors"])
    for form in made.forms.values():
        assert form.A.dtype == torch.float32
        assert torch.equal(form.A, form.A.to(stored).float())
    assert {t.dtype for t in file_of(folder).values()} == {stored}


def test_a_record_says_what_made_it(saved):
    row, folder, _ = saved("tucker")
    record = json.loads((folder / "trial.json").read_text())
    assert record["method"] == "tucker"
    assert record["nominal"] == 0.85
    assert record["kept_linears"] == row.kept_linear
    assert record["settings"]["seed"] == 0
    assert record["method_settings"] == {"iterations": 0, "scale": "unit"}
    assert record["settings"]["evaluate"] == "text.txt"  # no place of this machine
    text = (folder.parents[1] / "text.txt").read_bytes()
    assert record["texts"] == {"evaluate": hashlib.sha256(text).hexdigest()}
    assert not record["settings"].keys() & record["spec"].keys()
    assert Spec.from_dict(record["spec"]) == SPECS["tucker"]
    assert set(record["ranks"]) == {f"blocks.{i}.{role}" for i in (0, 1) for role in "qkvo"}
    assert record["ranks"]["blocks.0.q"].startswith("ranks ")
    ranked_row, _, _ = saved("two factors")
    ranks = {one["layer"]: one["rank"] for one in json.loads(ranked_row.layers)}
    found = json.loads(ranked_row.record)["ranks"]
    assert found == {name: rank for name, rank in ranks.items() if rank is not None}
