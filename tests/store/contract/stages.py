"""Jobs whose units are of several analyses, and what is kept of them in files."""

import pyarrow as pa

from tests.store import examples

TRIAL = {
    "name": "trial",
    "columns": [{"name": "bytes", "type": "int"}, {"name": "delta", "type": "float"}],
}
FACTORS = {"name": "factors", "columns": [{"name": "layer", "type": "str"}]}
STAGES = {"f": "factors", "t": "trial", "u": "trial"}


def planned(store, job="a", params="{}", stages=STAGES):
    """Add a job with a unit for each stage; the labels are those of the units, capital."""
    store.declare(TRIAL)
    store.declare(FACTORS)
    store.create_job(examples.job(job, analysis="trial") | {"params": params})
    rows = [
        {"label": key.upper(), "unit": None, "position": place, "analysis": kind}
        for place, (key, kind) in enumerate(stages.items())
    ]
    types = [("label", pa.string()), ("unit", pa.string()), ("position", pa.int64())]
    store.add_job_units(
        job, pa.Table.from_pylist(rows, schema=pa.schema([*types, ("analysis", pa.string())]))
    )


def finish(store, key, kind, job="a", **row):
    rows = pa.Table.from_pylist([row])
    store.finish_unit(examples.unit(key, analysis=kind), rows)
    store.link_unit(job, key.upper(), key, "done")


class StagesContract:
    def test_results_are_of_the_jobs_own_analysis_alone(self, fresh_store):
        planned(fresh_store)
        labels = lambda: fresh_store.results("a")["label"].to_pylist()  # noqa: E731
        assert labels() == ["T", "U"]
        finish(fresh_store, "f", "factors", layer="q")
        finish(fresh_store, "t", "trial", bytes=5, delta=0.5)
        fresh_store.link_unit("a", "U", None, "failed", "needs F, which failed")
        assert labels() == ["T", "U"]
        found = fresh_store.results("a").to_pylist()
        assert [row["delta"] for row in found] == [0.5, None]
        assert found[1]["message"] == "needs F, which failed"

    def test_a_stage_that_failed_is_listed(self, fresh_store):
        planned(fresh_store)
        fresh_store.link_unit("a", "F", None, "failed", "its worker died")
        assert fresh_store.results("a")["label"].to_pylist() == ["F", "T", "U"]

    def test_a_stage_that_is_stopped_leaves_the_rows_of_others(self, fresh_store):
        planned(fresh_store)
        finish(fresh_store, "t", "trial", bytes=5, delta=0.5)
        fresh_store.link_unit("a", "F", None, "running")
        fresh_store.begin_live("a", "F", {"key": "f", "analysis": "factors", "kept": False})
        assert fresh_store.progress("a")["label"].to_pylist() == ["F"]
        assert fresh_store.stop_live("a", "F") == 0
        assert fresh_store.progress("a").num_rows == 0
        assert fresh_store.table("result_trial").num_rows == 1

    def test_active_units_are_those_of_jobs_in_hand(self, fresh_store):
        planned(fresh_store, "a")
        planned(fresh_store, "b")
        fresh_store.link_unit("a", "F", "f", "done")
        fresh_store.link_unit("b", "T", "t", "done")
        assert sorted(fresh_store.active_units()) == ["f", "t"]
        assert fresh_store.active_units("a") == ["t"]
        fresh_store.set_job("b", "DONE")
        assert fresh_store.active_units() == ["f"]

    def test_units_are_named_as_in_the_newest_job(self, fresh_store):
        planned(fresh_store, "a")
        planned(fresh_store, "b")
        for job in ("a", "b"):
            fresh_store.link_unit(job, "T", "t" * 64, "done")
        [found] = fresh_store.named_units(["t" * 16]).to_pylist()
        assert (found["unit"], found["label"], found["job"]) == ("t" * 64, "T", "b")
        assert fresh_store.named_units(["none"]).num_rows == 0

    def test_trials_are_weighed_with_what_others_keep(self, fresh_store):
        assert fresh_store.weighed_trials("a").num_rows == 0
        planned(fresh_store)
        finish(fresh_store, "t", "trial", bytes=5, delta=0.5)
        finish(fresh_store, "u", "trial", bytes=4, delta=0.6)
        planned(fresh_store, "b", '{"weights": "all"}')
        fresh_store.link_unit("b", "U", "u", "done")
        assert fresh_store.weighed_trials("a").to_pylist() == [
            {"key": "t", "bytes": 5, "delta": 0.5, "kept": False},
            {"key": "u", "bytes": 4, "delta": 0.6, "kept": True},
        ]

    def test_an_export_is_found_by_its_trial_and_form(self, fresh_store):
        fresh_store.declare({"name": "export", "columns": [{"name": "file", "type": "str"}]})
        params = '{"trial": "t", "form": "merged"}'
        fresh_store.create_job(examples.job("e", analysis="export") | {"params": params})
        fresh_store.link_unit("e", "X", None, "waiting")
        assert fresh_store.exports("t", "merged").num_rows == 0
        finish(fresh_store, "x", "export", job="e", file="a.zip")
        assert fresh_store.exports("t", "merged").to_pylist() == [{"unit": "x", "job": "e"}]
        assert fresh_store.exports("t", "factored").num_rows == 0

    def test_deleted_files_are_listed_no_more_and_arrays_stay(self, fresh_store):
        planned(fresh_store)
        finish(fresh_store, "t", "trial", bytes=5, delta=0.5)
        files = [
            {"path": path, "sha256": "s", "bytes": 1}
            for path in ("trials/t/model.safetensors", "artifacts/s.npy")
        ]
        fresh_store.add_artifacts("t", pa.Table.from_pylist(files))
        fresh_store.drop_artifacts(["u"])
        assert fresh_store.artifacts(["t"]).num_rows == 2
        fresh_store.drop_artifacts(["t"])
        assert fresh_store.artifacts(["t"])["path"].to_pylist() == ["artifacts/s.npy"]
