"""What a job does, in words: its analysis and its model, or the trial and the form it writes."""

import json
from collections.abc import Mapping
from typing import Any


def of(job: Mapping[str, Any]) -> str:
    """Return what a job is of: "spectrum of gpt2", "export of svd, 80 % of gpt2, factored"."""
    said = f"{job['analysis']} of {job['model']}"
    if job["analysis"] != "export":
        return said
    given = json.loads(job["params"] or "{}")
    if not given.get("name"):
        return said
    return f"export of {given['name']} of {job['model']}, {given['form']}"
