"""Jobs, their units and their log."""

import pyarrow as pa
import pytest

from store import StoreError
from tests.store import examples


class JobsContract:
    def test_a_job_goes_from_queued_to_done(self, fresh_store):
        fresh_store.create_job(examples.job("a"))
        [queued] = fresh_store.job("a").to_pylist()
        assert (queued["state"], queued["total"], queued["params"]) == ("QUEUED", 3, '{"seed": 0}')
        assert queued["started"] is queued["finished"] is None
        fresh_store.set_job("a", "RUNNING")
        fresh_store.set_progress("a", done=1, failed=1, skipped=1, total=3)
        fresh_store.set_job("a", "FAILED", "embed: not finite")
        [ended] = fresh_store.job("a").to_pylist()
        assert [ended[name] for name in ("state", "done", "failed", "skipped", "message")] == [
            *("FAILED", 1, 1, 1, "embed: not finite")
        ]
        assert ended["created"] <= ended["started"] <= ended["finished"]

    def test_a_resumed_job_starts_anew_and_has_no_end(self, fresh_store):
        fresh_store.create_job(examples.job("a"))
        fresh_store.set_job("a", "RUNNING")
        started = fresh_store.job("a")["started"]
        fresh_store.set_job("a", "RUNNING", "block 1")
        assert fresh_store.job("a")["started"] == started
        fresh_store.set_job("a", "INTERRUPTED")
        fresh_store.set_job("a", "RUNNING")
        [resumed] = fresh_store.job("a").to_pylist()
        assert resumed["finished"] is None
        assert resumed["started"] > started[0].as_py()

    def test_a_repeated_creation_keeps_the_job(self, fresh_store):
        fresh_store.create_job(examples.job("a"))
        fresh_store.set_job("a", "RUNNING")
        fresh_store.create_job(examples.job("a"))
        assert fresh_store.jobs()["state"].to_pylist() == ["RUNNING"]

    def test_the_newest_jobs_come_first(self, fresh_store):
        for id in "abc":
            fresh_store.create_job(examples.job(id))
        assert fresh_store.jobs(limit=2)["id"].to_pylist() == ["c", "b"]

    def test_no_job_is_left_out_however_many_there_are(self, fresh_store):
        names = [f"job-{number}" for number in range(130)]
        for id in names:
            fresh_store.create_job(examples.job(id))
        assert fresh_store.jobs()["id"].to_pylist() == names[::-1]

    def test_an_unknown_job_is_named(self, fresh_store):
        assert fresh_store.job("x").num_rows == 0
        with pytest.raises(StoreError, match="no job has the id 'x'"):
            fresh_store.set_job("x", "DONE")
        with pytest.raises(StoreError, match="no job has the id 'x'"):
            fresh_store.results("x")

    def test_what_nobody_works_on_any_more_is_interrupted(self, fresh_store):
        for id, state in {"a": "DONE", "b": "RUNNING", "c": "QUEUED"}.items():
            fresh_store.create_job(examples.job(id))
            fresh_store.set_job(id, state)
            fresh_store.link_unit(id, "embed", "u", "running")
        assert fresh_store.interrupt_running() == ["b", "c"]
        assert fresh_store.interrupt_running() == []
        states = fresh_store.jobs()["state"].to_pylist()
        assert states == ["INTERRUPTED", "INTERRUPTED", "DONE"]
        assert "resume it" in fresh_store.job("b").to_pylist()[0]["message"]
        assert fresh_store.units("b")["state"].to_pylist() == ["waiting"]

    def test_units_follow_the_plan(self, fresh_store):
        planned = pa.table({"label": ["v", "q"], "unit": [None, "uq"], "position": [1, 0]})
        fresh_store.create_job(examples.job("a"))
        fresh_store.add_job_units("a", planned)
        fresh_store.link_unit("a", "v", "uv", "running")
        fresh_store.add_job_units("a", planned)  # repeated by a retry
        fresh_store.finish_unit(examples.unit("uv", "failed", message="not finite"))
        fresh_store.link_unit("a", "v", None, "failed")
        fresh_store.link_unit("a", "q", None, "failed", "the worker died")
        found = fresh_store.units("a")
        assert found.column_names == [
            *("position", "label", "unit", "state", "message", "seconds", "device", "finished")
        ]
        assert [row["label"] for row in found.to_pylist()] == ["q", "v"]
        assert found["unit"].to_pylist() == ["uq", "uv"]
        assert found["message"].to_pylist() == ["the worker died", "not finite"]
        assert found["seconds"].to_pylist() == [None, 0.25]

    def test_log_lines_come_in_order_and_only_once(self, fresh_store):
        for i in range(3):
            fresh_store.log("a", None, "info", f"line {i}")
        fresh_store.log("b", "u", "error", "other job")
        first = fresh_store.log_lines("a").to_pylist()
        assert [line["text"] for line in first] == ["line 0", "line 1", "line 2"]
        later = fresh_store.log_lines("a", after=first[1]["number"])
        assert later["text"].to_pylist() == ["line 2"]

    def test_text_that_is_no_unicode_is_logged_readably(self, fresh_store):
        fresh_store.log("a", None, "info", "file \udcff")
        assert fresh_store.log_lines("a")["text"].to_pylist() == [r"file \udcff"]
