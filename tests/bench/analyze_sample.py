"""How long `spectrum` of the sample takes end to end, against the plain sum of `svdvals`.

Each round, interleaved: start Ray on an empty home (printed apart), run the whole job through the
manager, workers and store, then take `torch.linalg.svdvals` in float64 of the same tensors in one
process and thread. The job does more per matrix: it hashes the bytes, decomposes the shuffled
matrix and noise of its shape too, measures, and writes.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROUNDS = 3
ENDED = ("DONE", "FAILED", "CANCELLED", "INTERRUPTED")


def job_seconds(home):
    """Return the seconds that Ray's start, and the job from launch to its last row, took."""
    from jobs.server import serving

    began = time.perf_counter()
    with serving(home, doing="a benchmark") as client:
        client.add_model("sample", "sample")
        started = time.perf_counter()
        job = client.submit("sample", "spectrum", {})
        while (row := client.job(job))["state"] not in ENDED:
            time.sleep(0.02)
        if row["state"] != "DONE":
            raise SystemExit(f"the job ended {row['state']}: {row['message']}")
        return started - began, time.perf_counter() - started


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
    starts, jobs, plain = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as home:
            start, job = job_seconds(Path(home))
        seconds, count = svdvals_seconds()
        starts.append(start)
        jobs.append(job)
        plain.append(seconds)
        print(f"start {start:5.1f} s | job {job:6.2f} s | {count} x svdvals {seconds:6.2f} s")
    ratio = statistics.median(job / one for job, one in zip(jobs, plain, strict=True))
    print(f"median start {statistics.median(starts):.1f} s, job / svdvals {ratio:.2f}")


if __name__ == "__main__":
    main()
