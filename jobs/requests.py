"""What is asked of a planner, made from a job's row or from what a page is about to launch."""

import json
from collections.abc import Mapping
from typing import Any

from jobs.catalog import Catalog
from jobs.errors import JobError
from jobs.tasks import PICKLE, Request

SPECTRUM, TRIAL = "spectrum", "trial"
ON_CPU = ("series", "training", "stages")  # units whose functions are given no device


def of(store: Any, catalog: Catalog, job: Mapping[str, Any]) -> Request:
    """Return the request of a job (model, analysis, params as JSON, layers).

    Raises JobError when the model or the analysis is no longer there.
    """
    [model] = store.model(job["model"]).to_pylist() or [None]
    if model is None:
        raise JobError(f"model {job['model']!r} is no longer registered: add it again")
    analysis = catalog.analysis(job["analysis"])
    spectrum = catalog.analysis(SPECTRUM) if analysis["unit"] == "spectra" else {}
    staged = analysis["unit"] == "stages"
    return Request(
        path=model["path"],
        allow_pickle=PICKLE in (model["notes"] or ""),
        analysis=analysis,
        params=json.loads(job["params"]),
        spectrum=spectrum,
        layers=job["layers"],
        model=job["model"],
        base=model["base"],
        stages={**catalog.stages, TRIAL: catalog.analysis(TRIAL)} if staged else {},
    )


def device(request: Request, asked: str) -> str:
    """Return the device to ask for. Raises JobError where the analysis cannot use a GPU."""
    if request.analysis["unit"] not in ON_CPU:
        return asked
    if asked == "cuda":
        raise JobError(f"{request.analysis['name']} runs on the CPU: leave --device out")
    return "cpu"
