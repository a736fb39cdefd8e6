"""A compressed network beside the dense one: what it loses, how fast it is, what it writes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from analysis.compress.calibration import calibrate as calibration
from analysis.compress.export.factored import write_factored
from analysis.compress.export.tensors import predicted_bytes
from analysis.compress.trials.making import Made, untouched
from analysis.compress.trials.measuring import read_control, read_evaluation
from analysis.compress.trials.measuring import settings_of as evaluation_of
from analysis.compress.trials.recording import calibrated_on, record
from analysis.compress.trials.recovering import recovered
from analysis.compress.trials.stages import Given
from analysis.evaluate.evaluation import Evaluation, difference, evaluate
from analysis.evaluate.flops import linear_flops
from analysis.evaluate.latency import Speed, speed
from analysis.evaluate.samples import samples
from analysis.evaluate.size import model_numbers
from analysis.networks.errors import NotRunnable
from analysis.networks.inputs import Inputs
from analysis.networks.opened import OpenedModel
from analysis.registry import Report

PROMPT = 24  # tokens of the evaluation text that a sample continues
SLOWER = 1.0  # speed-up below which a trial says that it is slower than dense
STEPS = 4


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that a trial's row says."""

    given: Given
    made: Made
    dense: Evaluation
    before: Evaluation  # without recovery
    after: Evaluation
    losses: tuple[float, ...]
    sizes: Mapping[str, int]
    pace: Speed | None
    texts: tuple[str, str, str]

    def columns(self) -> dict[str, Any]:
        """Return every column of the row."""
        return {
            **self._asked(),
            **self._sizes(),
            **self._quality(),
            **self._recovery(),
            **self._speed(),
            **self._described(),
        }

    def _asked(self) -> dict[str, Any]:
        spec = self.given.spec
        compensation = spec.compensation
        if compensation != "none":
            compensation = f"{compensation} rank {spec.compensation_rank}"
        return {
            "method": spec.full_name,
            "nominal": spec.kept,
            "allocation": spec.allocation,
            "form": spec.form,
            "objective": self.made.choice.objective,
            "compensation": compensation,
        }

    def _sizes(self) -> dict[str, Any]:
        linear, of_linear = self.made.linear
        whole = self.sizes["of_numbers"]
        now = whole - of_linear + linear
        return {
            "kept_linear": linear / of_linear,
            "kept_model": now / whole,
            "linear_numbers": linear,
            "model_numbers": now,
            "of_linear_numbers": of_linear,
            "of_model_numbers": whole,
            "bytes": self.sizes["bytes"],
            "of_bytes": self.sizes["of_bytes"],
        }

    def _quality(self) -> dict[str, Any]:
        after, dense = self.after, self.dense
        delta, low, high = difference(after, dense, self.given.params.seed)
        return {
            "metric": after.metric,
            "score": after.score,
            "dense_score": dense.score,
            "delta": delta,
            "delta_low": _known(low),
            "delta_high": _known(high),
            "predicted": self.made.predicted,
            "perplexity": after.perplexity,
            "dense_perplexity": dense.perplexity,
            "bits_per_byte": after.bits_per_byte,
            "accuracy": after.accuracy,
            "dense_accuracy": dense.accuracy,
            "choice_accuracy": after.choice_accuracy,
            "dense_choice_accuracy": dense.choice_accuracy,
            "whitened_error": self.made.layer_error("whitened"),
            "heldout_error": self.made.layer_error("heldout"),
            "nats": after.parts,
            "dense_nats": dense.parts,
            "counts": tuple(float(count) for count in after.counts),
            "evaluated_on": f"{after.evaluated_on}: {after.protocol}",
        }

    def _recovery(self) -> dict[str, Any]:
        control = read_control(self.given.control) if self.given.control else None
        return {
            "recovered": self.before.score if self.losses else None,
            "control": control.evaluation.score if control else None,
            "losses": self.losses,
            "control_losses": control.losses if control else (),
        }

    def _speed(self) -> dict[str, Any]:
        flops = {"flops": self.sizes["flops"], "dense_flops": self.sizes["of_flops"]}
        pace = self.pace
        if pace is None:
            names = ("latency", "tokens_per_second", "peak_bytes")
            none = {f"{dense}{name}": None for name in names for dense in ("", "dense_")}
            return {**none, **flops, "speed_at": ""}
        at = f"batch {pace.batch} of {pace.length} tokens, {pace.threads} threads, {pace.device}"
        return {
            "latency": 1e3 * pace.trial.latency,
            "dense_latency": 1e3 * pace.dense.latency,
            "tokens_per_second": pace.trial.tokens_per_second,
            "dense_tokens_per_second": pace.dense.tokens_per_second,
            "peak_bytes": pace.trial.peak_bytes,
            "dense_peak_bytes": pace.dense.peak_bytes,
            "speed_at": f"{at}, median of {pace.repeats} interleaved passes",
            **flops,
        }

    def _described(self) -> dict[str, Any]:
        prompt, dense_sample, sample = self.texts
        return {
            "calibrated_on": calibrated_on(self.given, self.made),
            "warnings": "\n".join(self._warnings()),
            "layers": json.dumps([one.to_dict() for one in self.made.results], allow_nan=False),
            "prompt": prompt,
            "sample": sample,
            "dense_sample": dense_sample,
            "record": json.dumps(record(self.given, self.made, self.dense), allow_nan=False),
        }

    def _warnings(self) -> list[str]:
        said = [*self.made.warnings, *self.after.warnings]
        grown = self.sizes["bytes"] > self.sizes["of_bytes"]
        if grown:
            said.append("The saved model is larger than the dense one.")
        if self.given.params.recovery_steps and not self.losses:
            said.append("Not trained: no layer holds factors that recovery trains.")
        # As the columns have it: of the medians, not the median of the pairs.
        ratio = 1.0 if self.pace is None else self.pace.dense.latency / self.pace.trial.latency
        if ratio < SLOWER and not untouched(self.given):
            said.append(
                f"Slower than dense here: {ratio:.2f} times its speed "
                "(parameters are fewer, passes are not shorter)."
            )
        return said


def compare(given: Given, made: Made, report: Report) -> Comparison:
    """Measure what was made, train it where that is asked for, and save it.

    Raises NonFiniteLayer where a value is not finite.
    """
    opened = given.opened
    dense = read_evaluation(given.dense)
    report(1, STEPS, "measuring the compressed model")
    before = evaluate(opened, made.network, evaluation_of(given.params))
    losses = recovered(given, made, report)
    after = evaluate(opened, made.network, evaluation_of(given.params)) if losses else before
    report(2, STEPS, "measuring its speed")
    dense_network = opened.network()
    sizes = _sizes_of(made, dense_network)
    pace = _pace(given, made, dense_network, report) if given.params.speed else None
    texts = continuations(opened, given.params.evaluate, dense_network, made)
    if given.weights is not None:
        report(3, STEPS, "saving")
        paths = sorted({target.module for target in made.targets if target.layer in made.forms})
        modules: dict[str, Any] = {path: made.network.get_submodule(path) for path in paths}
        write_factored(
            given.weights, opened.source, made.network, modules, made.dtype,
            record(given, made, dense),
        )  # fmt: skip
    return Comparison(given, made, dense, before, after, losses, sizes, pace, texts)


def _sizes_of(made: Made, dense: torch.nn.Module) -> dict[str, int]:
    modules = sorted({target.module for target in made.targets})
    return {
        "of_numbers": model_numbers(dense),
        "bytes": predicted_bytes(made.network, made.dtype),
        "of_bytes": predicted_bytes(dense, made.dtype),
        "flops": linear_flops(made.network, modules),
        "of_flops": linear_flops(dense, modules),
    }


def _pace(given: Given, made: Made, dense: torch.nn.Module, report: Report) -> Speed:
    settings = calibration.Calibration(text=given.params.calibrate, windows=1, gradient="none")
    ids = calibration.tokens(given.opened, settings)[:1]
    modules = sorted({target.module for target in made.targets})
    return speed(dense, made.network, ids, modules=modules)


def continuations(
    opened: OpenedModel, text: str | None, dense: torch.nn.Module, made: Made
) -> tuple[str, str, str]:
    """Return a prompt and how both models go on; nothing of a model that is not causal."""
    if opened.task != "causal":
        return "", "", ""
    try:
        tokenizer = opened.tokenizer()
    except NotRunnable:
        return "", "", ""  # token ids were given: there are no words to show
    prompt = tokenizer.decode(Inputs(opened, text).tokens(PROMPT), skip_special_tokens=True)
    found = samples(opened, dense, made.network, prompt)
    return found.prompt, found.dense, found.trial


def _known(value: float) -> float | None:
    return value if value == value else None  # NaN: one window gives no interval
