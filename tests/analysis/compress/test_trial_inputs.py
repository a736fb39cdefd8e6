"""Trials of few tokens, of encoders, of files in two dtypes, by sensitivity."""

import csv
import json
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr

from analysis.compress.calibration import calibrate as calibration
from analysis.compress.export import loading
from analysis.compress.trials.specs import Spec
from analysis.compress.trials.stages import STATISTICS
from analysis.networks.errors import BadInput, NotRunnable
from analysis.networks.opened import OpenedModel
from tests.analysis.compress.staged import file_of, logits, ranked, staged
from tests.analysis.evaluate.small_models import WORDS, written

pytestmark = pytest.mark.usefixtures("one_thread")
METHODS = ("fwsvd", "asvd", "whitened_svd", "two_sided_svd")


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A text of 100 tokens, which layers of 24 and of 72 inputs read; there are 64 positions."""
    folder = tmp_path_factory.mktemp("few")
    text = written(folder, " ".join(random.Random(1).choices(WORDS, k=99)), "few.txt")
    return staged(folder, "wide", calibrate=text, calibration_length=None, calibration_windows=64)


@pytest.mark.parametrize("method", METHODS)
def test_a_hundred_tokens_are_enough_to_run_and_too_few_to_trust(few, method):
    row = few.row(ranked(method, 0.6))
    assert 0 < row.kept_linear <= 0.6
    # One window of all 64 positions: the rest does not fill another.
    assert "Calibrated on 64 tokens, fewer than twice the widest input (72): " in row.warnings
    said = "few.txt, 64 tokens, N/n = 0.9 for the widest input, each document opened by one <s>"
    assert row.calibrated_on == said
    assert row.heldout_error is None


def test_their_gram_matrix_has_no_full_rank(few):
    known = calibration.load(next(iter(few.statistics().values())) / STATISTICS)
    G = known["blocks.0.down"].gram
    assert int(torch.linalg.matrix_rank(G)) < len(G) == 72
    made = few.made(Spec("rtn", {"bits": "3"}, compensation="eora", compensation_rank=3))
    plain = few.made(Spec("rtn", {"bits": "3"}, compensation="svd", compensation_rank=3))
    bare = few.made(Spec("rtn", {"bits": "3"}))
    assert made.layer_error("whitened") < plain.layer_error("whitened")
    assert plain.layer_error("whitened") < bare.layer_error("whitened")


def test_enough_tokens_are_not_warned_about(tmp_path):
    row = staged(tmp_path, "tied").row(ranked("svd", 0.8))  # 7 of 8 windows of 12, by 24 inputs
    said = "text.txt, 84 tokens, N/n = 3.5 for the widest input, each document opened by one <s>"
    assert row.calibrated_on == said
    assert "Calibrated" not in row.warnings


def test_without_a_calibration_none_is_named(tmp_path):
    stages = staged(tmp_path, "tied")
    row = stages.row(ranked("svd", 0.8), calibrated=False)
    assert row.calibrated_on == ""
    assert row.objective == "relative"
    assert row.predicted is row.whitened_error is row.heldout_error is None
    corrected = ranked("svd", 0.8, compensation="eora", compensation_rank=1)
    with pytest.raises(BadInput, match="eora needs that"):
        stages.row(corrected, calibrated=False)


@pytest.fixture
def pairs(tmp_path):
    path, drawing = tmp_path / "pairs.csv", random.Random(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sentence1", "sentence2", "score"])
        for _ in range(12):
            sentences = [" ".join(drawing.choices(WORDS, k=4)) for _ in range(2)]
            writer.writerow([*sentences, drawing.uniform(0, 5)])
    return str(path)


def test_an_encoder_is_measured_on_pairs(tmp_path, pairs):
    stages = staged(tmp_path, "encoder", evaluate=None, pairs=pairs)
    row = stages.row(ranked("whitened_svd", 0.5))
    assert row.metric == "spearman"
    assert row.evaluated_on.startswith("pairs.csv: ")
    lines = csv.DictReader(Path(pairs).read_text().splitlines())
    gold = [float(line["score"]) for line in lines]
    assert row.score == pytest.approx(spearmanr(row.nats, gold)[0], rel=1e-12)
    assert row.dense_score == pytest.approx(spearmanr(row.dense_nats, gold)[0], rel=1e-12)
    assert row.delta == pytest.approx(row.dense_score - row.score, abs=1e-12)
    assert row.score != row.dense_score
    assert row.predicted is row.perplexity is None
    assert row.prompt == ""
    whole = stages.row(ranked("whitened_svd", 1.0))
    assert (whole.delta, whole.delta_low, whole.delta_high) == (0.0, 0.0, 0.0)


def test_an_encoder_without_pairs_is_told_to_give_them(tmp_path):
    with pytest.raises(BadInput, match=r"encoder without a head.*give sentence pairs"):
        staged(tmp_path, "encoder").row(ranked("svd", 0.5))


def test_an_encoder_has_no_expected_loss(tmp_path, pairs):
    stages = staged(tmp_path, "encoder", evaluate=None, pairs=pairs)
    with pytest.raises(BadInput, match=r"expected an objective of whitened, .*calibrate with"):
        stages.row(ranked("svd", 0.5, objective="expected"))


def test_what_was_kept_wider_is_measured_as_it_is_saved(tmp_path):
    """Norms in float32 beside matrices in float16: the file holds one dtype."""
    stages = staged(tmp_path, "half")
    path = tmp_path / "model/model.safetensors"
    tensors = load_file(path)
    wide = {k: t.float() * 1.0001 if t.ndim == 1 else t for k, t in tensors.items()}
    save_file(wide, path, metadata={"format": "pt"})
    layers = stages.opened.layers
    stages.opened = OpenedModel.open(tmp_path / "model", layers=layers)
    spec = ranked("svd", 0.6)
    row, folder = stages.saved(spec)
    assert {t.dtype for t in file_of(folder).values()} == {torch.float16}
    assert torch.equal(logits(loading.load(folder)), logits(stages.made(spec).network))
    assert row.bytes == (folder / "model.safetensors").stat().st_size


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    return staged(tmp_path_factory.mktemp("tried"), "llama")


def test_sensitivity_measures_one_layer_alone_and_keeps_to_the_budget(tried):
    spec = ranked("svd", 0.6, "sensitivity")
    given = tried.given(spec)
    rows = [
        r for f in given.sensitivity.values() for r in json.loads((f / "rows.json").read_text())
    ]
    assert {row["layer"] for row in rows} == set(tried.opened.layers)
    row = tried.row(spec)
    assert row.linear_numbers <= 0.6 * row.of_linear_numbers
    assert row.kept_linear > 0.55
    ids = calibration.tokens(tried.opened, calibration.Calibration(tried.params.calibrate, 8, 12))
    for one in rows[::17]:
        alone = tried.made(Spec("svd", allocation="by_hand", form="two_factor",
                                ranks={one["layer"]: one["rank"]}))  # fmt: skip
        found = logits(alone.network, ids)[:, :-1].transpose(1, 2)
        loss = torch.nn.functional.cross_entropy(found, ids[:, 1:])
        assert one["loss"] == pytest.approx(float(loss), rel=1e-5)


def test_sensitivity_is_of_next_tokens(tmp_path):
    with pytest.raises(NotRunnable, match="predicts no next token"):
        staged(tmp_path, "bert").row(ranked("svd", 0.6, "sensitivity"))


def test_a_prompt_is_of_the_text_that_is_measured(tried):
    row = tried.row(ranked("svd", 0.6))
    text = Path(tried.params.evaluate).read_text(encoding="utf-8")
    assert row.prompt
    assert text.startswith(row.prompt[:40])


def test_speed_is_measured_beside_the_dense_model(tmp_path):
    row = staged(tmp_path, "tied", speed=True).row(ranked("svd", 0.5))
    assert min(row.latency, row.dense_latency, row.tokens_per_second) > 0
    assert row.speed_at.startswith("batch 1 of ")
    assert "interleaved passes" in row.speed_at
    assert row.peak_bytes > 0
    # Two operations for each number that a token passes.
    assert row.flops == 2 * row.linear_numbers
    assert row.dense_flops == 2 * row.of_linear_numbers
