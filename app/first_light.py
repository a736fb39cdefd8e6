"""What a fresh home gets: the bundled model, its spectra and their WeLore classification."""

from pathlib import Path
from typing import Any

SAMPLE = "sample"
ANALYSES = ("spectrum", "welore")
KEPT = {"DONE", "QUEUED", "RUNNING"}


def profile_sample(client: Any) -> list[str]:
    """Register the sample, and start what has no finished or active job; return the job ids.

    A job that the end of an earlier server interrupted goes on where it stopped.
    """
    known = client.store.model(SAMPLE)
    if known.empty or not Path(known["path"].iloc[0]).exists():  # the checkout may have moved
        client.add_model(SAMPLE, SAMPLE, restrict_to_roots=False)
    jobs = client.store.jobs()
    begun = []
    for name in ANALYSES:
        own = jobs[(jobs["model"] == SAMPLE) & (jobs["analysis"] == name)]
        jobs_by_state = dict(zip(own["state"], own["id"], strict=True))
        if KEPT & jobs_by_state.keys():
            continue
        interrupted = jobs_by_state.get("INTERRUPTED")
        begun.append(client.resume(interrupted) if interrupted else client.submit(SAMPLE, name, {}))
    return begun
