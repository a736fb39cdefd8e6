"""All stages of a trial in one process, one after the other, as a job runs them."""

from collections import defaultdict
from dataclasses import replace
from functools import partial

import torch
from safetensors.torch import load_file

from analysis.compress.trials.calibrating import calibrate_stage
from analysis.compress.trials.factoring import factor_stage
from analysis.compress.trials.making import make
from analysis.compress.trials.measuring import control_stage, evaluation_stage
from analysis.compress.trials.sensitivity import sensitivity_stage
from analysis.compress.trials.specs import SENSITIVITY, Spec, expand
from analysis.compress.trials.stages import Given, group_name
from analysis.compress.trials.targets import heads_of
from analysis.networks.opened import OpenedModel
from analysis.registry import Quiet
from analysis.trial import Params, trial
from tests.analysis.evaluate.small_models import on_disk, written

GQA = {"hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 4}
FAMILIES = {
    "llama": ("llama", GQA),
    "tied": ("llama", {"tie_word_embeddings": True}),
    "qwen2": ("qwen2", {}),
    "gpt2": ("gpt2", {}),
    "bert": ("bert", {}),
    "wide": ("llama", {"intermediate_size": 72}),
    "half": ("llama", {"dtype": torch.float16}),
}
SMALL = {"calibration_windows": 8, "calibration_length": 12, "windows": 8, "window": 12}


class Staged:
    """The stages of one model with one set of settings; each is run once."""

    def __init__(self, model, params, folder, layers=None):
        opened = OpenedModel.open(model)
        linear = [r.label.layer for r in opened.source.matrices() if r.label.kind == "linear"]
        self.opened = replace(opened, layers=tuple(layers or linear))
        self.params = params
        self.folder = folder
        self._done = {}

    def rows(self, **more):
        return [self.row(spec, **more) for spec in expand(self.params)]

    def row(self, spec, **more):
        [row] = trial(self.given(spec, **more), Quiet())
        return row

    def saved(self, spec):
        """The row of a trial, and the folder with its weights."""
        folder = self.folder / f"weights {len(list(self.folder.glob('weights*')))}"
        return self.row(spec, weights=folder), folder

    def made(self, spec):
        return make(self.given(spec), Quiet())

    def given(self, spec, *, weights=None, calibrated=True):
        statistics = self.statistics() if calibrated else {}
        return Given(
            opened=self.opened,
            spec=spec,
            params=self.params,
            factors=self.factors(spec.full_name, statistics),
            statistics=statistics,
            dense=self.dense(),
            control=self._control(),
            sensitivity=self._sensitivity(spec, statistics),
            weights=weights,
        )

    def statistics(self):
        run = partial(calibrate_stage, self.opened, self.params, self.opened.layers)
        return dict.fromkeys(self.groups(), self._once("statistics", run))

    def dense(self):
        return self._once("dense", partial(evaluation_stage, self.opened, self.params))

    def factors(self, method, statistics):
        heads = heads_of(self.opened)
        bare = "" if statistics else " bare"
        return {
            name: self._once(
                f"{method} {name}{bare}",
                partial(factor_stage, refs, method, statistics.get(name), heads),
            )
            for name, refs in self.groups().items()
        }

    def groups(self):
        found = defaultdict(list)
        for ref in self.opened.source.matrices():
            if ref.label.layer in self.opened.layers:
                found[group_name(ref.label.block)].append(ref)
        return dict(found)

    def _control(self):
        if not self.params.recovery_steps:
            return None
        return self._once("control", partial(control_stage, self.opened, self.params))

    def _sensitivity(self, spec, statistics):
        if spec.allocation != SENSITIVITY:
            return {}
        method, found = spec.full_name, {}
        for name, refs in self.groups().items():
            factors, layers = self.factors(method, statistics)[name], [r.label.layer for r in refs]
            run = partial(sensitivity_stage, self.opened, self.params, method, factors, layers)
            found[name] = self._once(f"sensitivity {method} {name}", run)
        return found

    def _once(self, name, run):
        if name not in self._done:
            folder = self.folder / name.replace(":", " ")
            list(run(folder, Quiet()))
            self._done[name] = folder
        return self._done[name]


def staged(folder, family="llama", text=None, **settings):
    """The stages of a tiny model that is written into a folder, with its text."""
    kind, more = FAMILIES.get(family, (family, {}))
    on_disk(folder / "model", kind, **more)
    given = written(folder) if text is None else text
    params = Params(**{"calibrate": given, "evaluate": given, "speed": False} | SMALL | settings)
    return Staged(folder / "model", params, folder / "stages")


def ranked(method, kept, allocation="greedy", form="two_factor", **more):
    return Spec(method, kept=kept, allocation=allocation, form=form, **more)


def by_hand(method, ranks, form="two_factor"):
    return Spec(method, allocation="by_hand", form=form, ranks=ranks)


def full_ranks(stages):
    refs = [ref for group in stages.groups().values() for ref in group]
    return {ref.label.layer: min(ref.shape) for ref in refs}


def file_of(folder):
    return load_file(folder / "model.safetensors")


def ids(length=20, seed=3):
    return torch.randint(6, 29, (2, length), generator=torch.Generator().manual_seed(seed))


def logits(network, tokens=None):
    with torch.no_grad():
        return network(input_ids=ids() if tokens is None else tokens)[0]
