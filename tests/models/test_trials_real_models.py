"""Sweeps of real models from the command line, and the sentences for those without trials yet."""

import csv
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from analysis.evaluate.difference import loss_difference, order_difference
from analysis.evaluate.similarity import read
from tests.models.folders import FOLDER, needs

STORIES = FOLDER / "stories260k"
MINILM = FOLDER / "all-MiniLM-L6-v2-fp16"
TINY = FOLDER / "eval" / "tinystories_1to400.txt"
PAIRS = FOLDER / "eval" / "stsb-en-dev.csv"
BETWEEN = "<|endoftext|>"
pytestmark = [pytest.mark.models, pytest.mark.timeout(1800)]


class CommandLine:
    """`python -m jobs` with a home of its own."""

    def __init__(self, home):
        self.home = home

    def __call__(self, *words):
        return subprocess.run(
            [sys.executable, "-m", "jobs", *map(str, words)],
            env=os.environ | {"RANKSCOPE_HOME": str(self.home), "HF_HUB_OFFLINE": "1"},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )

    def rows(self, *words):
        """The rows of a sweep by what was asked to be kept, the largest first."""
        done = self("sweep", *words, "--local")
        assert done.returncode == 0, done.stdout + done.stderr
        [job] = json.loads(self("status", "--format", "json").stdout)
        found = json.loads(self("results", job["id"], "--format", "json").stdout)
        return {row["nominal"]: row for row in sorted(found, key=lambda row: -row["nominal"])}


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stories")
    documents = TINY.read_text(encoding="utf-8").split(BETWEEN)
    text = folder / "calibration.txt"
    # What is measured are the first 40 windows: the other half of the stories is not among them.
    text.write_text(BETWEEN.join(documents[len(documents) // 2 :]), encoding="utf-8")
    return CommandLine(folder / "home").rows(
        STORIES, "--methods", "whitened_svd", "--keep", "0.95,0.9,0.8,0.6,0.4",
        "--calibrate", text, "--evaluate", TINY, "--set", "preset=bos-per-document",
        "--set", "first=true", "--set", "windows=40", "--set", "window=256",
    )  # fmt: skip


@needs(STORIES.name, "eval")
def test_the_stories_dense_perplexity_is_the_published_one(stories):
    for row in stories.values():
        assert row["dense_perplexity"] == pytest.approx(3.7152, abs=6e-5)
        assert row["counts"] == [255] * 40


@needs(STORIES.name, "eval")
def test_the_stories_curve_rises_as_less_is_kept(stories):
    assert list(stories) == [0.95, 0.9, 0.8, 0.6, 0.4]
    for kept, row in stories.items():
        assert kept - 0.02 < row["kept_linear"] <= kept
    for larger, smaller in pairwise(stories.values()):
        assert larger["counts"] == smaller["counts"]
        value, low, _ = loss_difference(smaller["nats"], larger["nats"], larger["counts"], 0)
        assert value == pytest.approx(smaller["score"] - larger["score"])
        assert low > 0


@needs(STORIES.name, "eval")
def test_eora_gives_back_more_than_svd_and_a_third_of_what_three_bits_took(tmp_path):
    """Rank 8 of a width of 64; the bundled sample, four times as wide, needs rank 12 for it."""
    run, scores = CommandLine(tmp_path / "home"), []
    for more in ((), ("svd", 8), ("eora", 8)):
        words = ("--compensate", more[0], "--compensation-rank", more[1]) if more else ()
        done = run(
            "trial", STORIES, "--method", "rtn:bits=3", *words, "--calibrate", TINY, "--evaluate",
            TINY, "--set", "preset=bos-per-document", "--set", "windows=40", "--set",
            "speed=false", "--local",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        job = json.loads(run("status", "--format", "json").stdout)[0]["id"]
        [row] = json.loads(run("results", job, "--format", "json").stdout)
        scores.append(row)
    bare, svd, eora = (row["perplexity"] for row in scores)
    assert bare > svd > eora
    assert bare - eora >= 0.3 * (bare - scores[0]["dense_perplexity"])


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minilm")
    with PAIRS.open(newline="", encoding="utf-8") as file:
        sentences = [sentence for row in csv.reader(file) for sentence in row[:2]]
    text = folder / "sentences.txt"
    text.write_text("\n".join(sentences), encoding="utf-8")
    return CommandLine(folder / "home").rows(
        MINILM, "--methods", "whitened_svd", "--keep", "0.9,0.8,0.6",
        "--calibrate", text, "--set", f"pairs={PAIRS}", "--set", "speed=false",
    )  # fmt: skip


@needs(MINILM.name, "eval")
def test_minilms_dense_correlation_is_the_published_one(minilm):
    for row in minilm.values():
        assert row["metric"] == "spearman"
        assert row["dense_score"] == pytest.approx(0.86717, abs=1e-5)
        assert row["predicted"] is None  # an encoder has no loss to predict a change of
        assert len(row["nats"]) == 1500


@needs(MINILM.name, "eval")
def test_minilms_curve_falls_as_less_is_kept(minilm):
    gold = read(str(PAIRS)).scores
    for larger, smaller in pairwise(minilm.values()):
        value, low, _ = order_difference(smaller["nats"], larger["nats"], gold, 0)
        assert value == pytest.approx(larger["score"] - smaller["score"], abs=1e-9)
        assert low > 0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet20_cifar10", "without a config.json"),
        ("lenet5_mnist", "without a config.json"),
        ("series_llama_char", "a series of checkpoints"),
    ],
)
@needs("resnet20_cifar10", "lenet5_mnist", "series_llama_char")
def test_what_has_no_trial_yet_says_why_and_runs_nothing(tmp_path, name, sentence):
    command = CommandLine(tmp_path / "home")
    found = command("trial", FOLDER / name, "--method", "svd", "--keep", "0.8", "--local")
    assert found.returncode == 2
    assert found.stderr.startswith("error: ")
    assert sentence in found.stderr
    assert "Traceback" not in found.stderr
    for job in json.loads(command("status", "--format", "json").stdout):
        assert (job["state"], job["done"], job["total"]) == ("FAILED", 0, 0)
