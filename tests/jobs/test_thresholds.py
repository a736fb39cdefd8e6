"""Moving WeLore's threshold on a page gives what a job at that threshold gives."""

import numpy as np
import pandas as pd
import pytest

from analysis.numerics.global_threshold import normalised
from analysis.weights.matrix import Label, LayerSpectrum, Spectrum
from analysis.welore import Params, welore
from jobs import thresholds

SHAPES = {"a": (64, 64), "b": (32, 96), "c": (128, 16)}
RULES = {"cutoff": 0.5, "allow_above_break_even": False}


def spectra():
    found = []
    for i, (name, shape) in enumerate(SHAPES.items()):
        values = np.sort(np.random.default_rng(i).gamma(0.7, size=min(shape)))[::-1].copy()
        label = Label(f"blocks.0.{name}", name, name, 0)
        found.append(LayerSpectrum(label, Spectrum(name, values, *shape), "float32"))
    return found


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("rules", [RULES, {"cutoff": 0.1, "allow_above_break_even": True}])
def test_the_page_and_the_job_agree(threshold, rules):
    layers = spectra()
    job = pd.DataFrame([vars(row) for row in welore(layers, Params(threshold=threshold, **rules))])
    found = pd.DataFrame([
        {"layer": s.label.layer, "rows": s.spectrum.rows, "cols": s.spectrum.cols,
         "scaled": normalised(s.spectrum.values)}
        for s in layers
    ])  # fmt: skip
    page = thresholds.classified(found, threshold, rules)
    for name in page.columns:
        assert page[name].tolist() == job[name].tolist(), name
