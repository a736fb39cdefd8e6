"""Training after compression, beside the dense model that is trained as long."""

from dataclasses import replace

import pytest
import torch

from analysis.compress.calibration import calibrate as calibration
from analysis.compress.export import loading
from analysis.compress.trials.calibrating import settings_of
from analysis.compress.trials.measuring import read_control
from analysis.compress.trials.measuring import settings_of as evaluation_of
from analysis.compress.trials.specs import Spec
from analysis.compress.trials.targets import targets, weight
from analysis.evaluate import recovery
from analysis.evaluate.evaluation import evaluate
from tests.analysis.compress.staged import by_hand, file_of, logits, ranked, staged

pytestmark = pytest.mark.usefixtures("one_thread")
STEPS = 12
BAD = ranked("svd", 0.4)


@pytest.fixture(scope="module", params=["half", "gpt2", "bert"])
def stages(request, tmp_path_factory):
    return staged(
        tmp_path_factory.mktemp(request.param), request.param,
        recovery_steps=STEPS, recovery_lr=1e-2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(stages):
    return stages.saved(BAD)


def stored_dtype(stages):
    [found] = {t.dtype for t in file_of(stages.folder.parent / "model").values()}
    return found


def untrained(stages, spec):
    """The same trial with no step."""
    before = stages.params
    stages.params = replace(before, recovery_steps=0)
    row = stages.row(spec)
    stages.params = before
    return row


def test_the_loss_falls_and_what_it_was_before_is_kept(stages, trained):
    row, _ = trained
    bare = untrained(stages, BAD)
    assert row.recovered == bare.score
    assert bare.recovered is bare.control is None
    assert bare.losses == bare.control_losses == ()
    assert row.score < row.recovered
    assert len(row.losses) == STEPS
    assert row.losses[-1] < row.losses[0]
    assert row.delta == pytest.approx(row.score - row.dense_score, abs=1e-9)


def test_the_control_is_the_dense_model_after_the_same_batches(stages, trained, monkeypatch):
    row, _ = trained
    found = read_control(stages.folder / "control")
    assert row.control == found.evaluation.score != row.dense_score
    assert row.control_losses == found.losses
    assert len(row.control_losses) == STEPS
    assert row.control < row.dense_score  # it has learned as well
    batches = record_batches(monkeypatch)
    stages.row(BAD)
    network = stages.opened.network()
    chosen, _ = targets(stages.opened, network, stages.opened.layers)
    ids = calibration.tokens(stages.opened, settings_of(stages.params))
    mask_id = stages.opened.tokenizer().mask_token_id
    recovery.control(network, chosen, ids, STEPS, 1e-2, seed=0, mask_id=mask_id)
    assert len(batches) == 2 * STEPS
    # The control is rounded to the file's dtype too.
    for target in chosen:
        W = weight(network, target)
        W.copy_(W.to(stored_dtype(stages)))
    assert evaluate(stages.opened, network, evaluation_of(stages.params)).score == row.control
    for one, other in zip(batches[:STEPS], batches[STEPS:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def record_batches(monkeypatch):
    seen, step = [], recovery._step

    def noting(network, trained, optimizer, inputs, asked):
        seen.append((inputs, asked))
        return step(network, trained, optimizer, inputs, asked)

    monkeypatch.setattr(recovery, "_step", noting)
    return seen


def test_what_was_trained_is_rounded_before_it_is_measured(stages, trained):
    row, folder = trained
    assert {t.dtype for t in file_of(folder).values()} == {stored_dtype(stages)}
    network = loading.load(folder)
    rows = stages.made(BAD).network
    assert not torch.equal(logits(network), logits(rows))  # it was trained
    if stages.opened.task == "causal":
        again = evaluate(stages.opened, network, evaluation_of(stages.params))
        assert again.parts == row.nats


def test_only_factors_are_trained(stages, trained):
    """Neither layers that stayed dense nor biases, gains and embeddings."""
    _, folder = trained
    made, stored = stages.made(BAD).network.state_dict(), file_of(folder)
    moved = {name for name, t in stored.items() if not torch.equal(t.float(), made[name].float())}
    assert moved
    assert {name.rpartition(".")[2] for name in moved} == {"A", "B"}


def test_lrc_trains_the_layers_that_lost_half_of_their_rank(stages, tmp_path):
    low, high = stages.opened.layers[-1], stages.opened.layers[0]
    spec = by_hand("svd", {low: 5, high: 12})
    before = stages.params
    stages.params = replace(before, recovery_layers="lrc")
    stages.row(spec, weights=tmp_path / "lrc")
    stages.params = before
    made, stored = stages.made(spec), file_of(tmp_path / "lrc")
    now = loading.load(tmp_path / "lrc")
    paths = {target.layer: target.module for target in made.targets}
    assert changed(made.network, now, paths[low])
    assert not changed(made.network, now, paths[high])
    assert stored


def changed(before, after, path):
    pairs = zip(
        before.get_submodule(path).parameters(), after.get_submodule(path).parameters(), strict=True
    )
    return any(not torch.equal(a, b) for a, b in pairs)


def test_codes_are_not_trained_and_the_trial_says_so(stages):
    row = stages.row(Spec("rtn", {"bits": "4"}))
    assert row.losses == ()
    assert row.recovered is None
    assert row.control is not None
    assert "Not trained: no layer holds factors" in row.warnings
