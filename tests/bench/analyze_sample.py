"""How long `spectrum` of the sample takes end to end, against the plain sum of `svdvals`.

Each round, interleaved: start Ray on an empty home (printed apart), run the whole job through the
manager, workers and store, then take `torch.linalg.svdvals` in float64 of the same tensors in one
process and thread. The job does more per matrix: it hashes the bytes, decomposes the shuffled
matrix and noise of its shape too, measures, and writes; and the first job of a server waits while
its workers import torch. So a second job is timed as well, on warm workers: with another seed it
recalls the spectra and decomposes shuffles and noise anew, about as many as the first.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROUNDS = 3
ENDED = ("DONE", "FAILED", "CANCELLED", "INTERRUPTED")


def start_and_job_seconds(home):
    """Return the seconds of Ray's start, of the first job and of one on warm workers."""
    from jobs.server import serving

    began = time.perf_counter()
    with serving(home, doing="a benchmark") as client:
        client.add_model("sample", "sample")
        start = time.perf_counter() - began
        return start, job_seconds(client, seed=0), job_seconds(client, seed=1)


def job_seconds(client, seed):
    """Return the seconds from a job's launch to its last row."""
    began = time.perf_counter()
    job = client.submit("sample", "spectrum", {"seed": seed})
    while (row := client.job(job))["state"] not in ENDED:
        time.sleep(0.02)
    if row["state"] != "DONE":
        raise SystemExit(f"the job ended {row['state']}: {row['message']}")
    return time.perf_counter() - began


def svdvals_seconds():
    """Return the seconds of one `svdvals` per matrix of the sample, and how many there are."""
    import torch

    from analysis import sample
    from analysis.weights import load, open_model

    torch.set_num_threads(1)
    matrices = [load(ref) for ref in open_model(sample.MODEL).matrices()]
    began = time.perf_counter()
    for matrix in matrices:
        torch.linalg.svdvals(matrix.rows(0, matrix.shape[0]).double())
    return time.perf_counter() - began, len(matrices)


def main():
    """Print each round, and the medians."""
    rounds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as home:
            start, first, warm = start_and_job_seconds(Path(home))
        plain, count = svdvals_seconds()
        rounds.append((start, first / plain, warm / plain))
        print(
            f"start {start:.1f} s | first job {first:.2f} s | warm {warm:.2f} s | "
            f"{count} x svdvals {plain:.2f} s"
        )
    start, first, warm = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"medians: start {start:.1f} s, first job / svdvals {first:.1f}, warm {warm:.1f}")


if __name__ == "__main__":
    main()
