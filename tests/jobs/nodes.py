"""A program: a cluster of two nodes on this machine, one of which ends in the middle of a job.

Prints one line of JSON. Run with the home, the model and the gate's folder as arguments.
"""

import json
import os
import sys
from pathlib import Path

from ray.cluster_utils import Cluster

from jobs.server import serving
from tests.jobs.servers import Gate
from tests.jobs.waiting import until

ENDED = ("DONE", "FAILED", "CANCELLED", "INTERRUPTED")


def main(home: Path, model: str, gate: Gate) -> None:
    """Run three jobs: one that loses a node, and two on a GPU that is not there."""
    # The head has one core, and claims a GPU; the second node has one core.
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "num_gpus": 1, "include_dashboard": False},
    )
    second = cluster.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = cluster.address
    found = {}
    try:
        with serving(home, doing="a test's cluster") as client:
            name = client.add_model(model)

            def end(job: str) -> dict[str, object]:
                until(lambda: client.job(job)["state"] in ENDED, 120)
                row = client.job(job)
                return {key: row[key] for key in ("state", "message")} | {
                    key: int(row[key]) for key in ("done", "failed", "total")
                }

            found["mode"] = client.cluster()["mode"]
            found["no cuda"] = end(client.submit(name, "gated", {}, "embed", "cuda"))
            gate.hold()
            job = client.submit(name, "gated", {}, device="cpu")
            until(lambda: len(gate.calls()) == 2, 60)
            cluster.remove_node(second, allow_graceful=False)
            gate.release()
            found["lost node"] = end(job)
            found["rows"] = int(client.store.results(job)["norm"].notna().sum())
            auto = client.submit(name, "spectrum", {}, "embed")
            found["auto"] = end(auto)
            found["log"] = list(client.store.log_lines(auto)["text"])
            found["device"] = list(client.store.units(auto)["device"].dropna())
        found["left"] = home.joinpath("owner.json").exists()
    finally:
        cluster.shutdown()
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Gate(Path(sys.argv[3])))
