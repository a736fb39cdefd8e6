"""Units that are seen while they run."""

import hashlib

import pyarrow as pa
import pytest

from tests.store import examples

KEPT = "what it has given so far is kept: resume goes on from there"


def stream(first, *ranks):
    """Return numbered rows with these stable ranks."""
    rows = pa.concat_tables([examples.rows(rank) for rank in ranks])
    numbers = pa.array(range(first, first + len(ranks)), pa.int64())
    return rows.append_column("row", numbers)


def said(done, total=10, words="step"):
    return {"done": done, "total": total, "words": words}


class LiveContract:
    @pytest.fixture
    def live(self, fresh_store):
        """A job whose only unit runs and is live; `begin` begins it (again)."""
        fresh_store.declare(examples.SPECTRUM)
        fresh_store.create_job(examples.job("a"))
        fresh_store.link_unit("a", "whole", None, "running")
        return fresh_store

    def begin(self, store, job="a", *, kept=False):
        store.begin_live(job, "whole", {"key": "u", "analysis": "spectrum", "kept": kept})

    def ranks(self, store, job="a"):
        return store.results(job)["stable_rank"].to_pylist()

    def test_rows_and_progress_are_seen_while_the_unit_runs(self, live):
        self.begin(live)
        live.add_live("u", said(3, words="step 3"), stream(0, 1.0, 2.0))
        live.add_live("u", said(4, words="step 4"), stream(2, 3.0))
        found = live.results("a")
        assert found["stable_rank"].to_pylist() == [1.0, 2.0, 3.0]
        assert set(found["status"].to_pylist()) == {"running"}
        [progress] = live.progress("a").to_pylist()
        assert progress.pop("at") > 0
        assert progress == {"label": "whole", "done": 4, "total": 10, "words": "step 4"}

    def test_a_repeated_call_and_a_second_attempt_double_no_row(self, live):
        self.begin(live)
        for _ in range(2):
            live.add_live("u", said(1), stream(0, 1.0, 2.0))
        assert self.ranks(live) == [1.0, 2.0]
        self.begin(live)
        assert self.ranks(live) == [None]
        live.add_live("u", said(1), stream(0, 5.0))
        assert self.ranks(live) == [5.0]

    def test_the_end_replaces_the_stream_by_the_whole(self, live):
        self.begin(live, kept=True)
        live.add_live("u", said(1), stream(0, 1.0, 2.0))
        whole = pa.concat_tables([examples.rows(1.0), examples.rows(2.0), examples.rows(3.0)])
        live.finish_unit(examples.unit("u"), whole)
        live.link_unit("a", "whole", "u", "done")
        assert self.ranks(live) == [1.0, 2.0, 3.0]
        assert live.progress("a").num_rows == live.table("progress").num_rows == 0
        live.add_live("u", said(2), stream(1, 9.0))  # of an attempt that was given up
        self.begin(live)
        assert self.ranks(live) == [1.0, 2.0, 3.0]

    def test_a_failure_leaves_no_row_of_its_stream(self, live):
        self.begin(live, kept=True)
        live.add_live("u", said(1), stream(0, 1.0))
        live.finish_unit(examples.unit("u", "failed", message="diverged"))
        assert self.ranks(live) == [None]
        self.begin(live)
        assert live.results("a")["status"].to_pylist() == ["running"]
        live.finish_unit(examples.unit("u"), examples.rows(4.0))
        assert self.ranks(live) == [4.0]

    @pytest.mark.parametrize("kept", [False, True])
    def test_a_stopped_unit_keeps_its_rows_only_if_it_was_begun_so(self, live, kept):
        self.begin(live, kept=kept)
        live.add_live("u", said(1), stream(0, 1.0, 2.0))
        assert live.stop_live("a", "whole") == (2 if kept else 0)
        live.link_unit("a", "whole", None, "cancelled")
        live.add_live("u", said(2), stream(2, 3.0))  # too late
        self.begin(live)
        assert self.ranks(live) == ([1.0, 2.0] if kept else [None])
        assert live.progress("a").num_rows == 0

    def test_stopping_what_waits_leaves_the_job_that_runs_it_alone(self, live):
        self.begin(live, kept=True)
        live.add_live("u", said(1), stream(0, 1.0))
        live.create_job(examples.job("b"))
        live.link_unit("b", "whole", "u", "waiting")
        assert live.stop_live("b", "whole") == 1
        assert live.stop_live("b", "unheard") == 0
        assert live.progress("a").num_rows == 1

    def test_a_finished_unit_is_not_stopped(self, live):
        self.begin(live)
        live.finish_unit(examples.unit("u"), examples.rows(4.0))
        assert live.stop_live("a", "whole") == 0
        assert self.ranks(live) == [4.0]

    @pytest.mark.parametrize("kept", [False, True])
    def test_what_a_killed_program_left_is_ended_at_the_next_start(self, live, kept):
        self.begin(live, kept=kept)
        live.add_live("u", said(1), stream(0, 1.0, 2.0))
        live.set_job("a", "RUNNING")
        live.interrupt_running()
        found = live.results("a")
        assert found["stable_rank"].to_pylist() == ([1.0, 2.0] if kept else [None])
        assert set(found["status"].to_pylist()) == {"waiting"}
        assert set(found["message"].to_pylist()) == {KEPT if kept else ""}
        assert live.table("progress").num_rows == 0

    def test_arrays_of_a_stream_are_files_before_its_rows_are_seen(self, live):
        self.begin(live)
        content = b"not really an array"
        sha256 = hashlib.sha256(content).hexdigest()
        described = {"path": f"artifacts/{sha256}.npy", "shape": [2], "sha256": sha256}
        rows = stream(0, 1.0).append_column("vectors", pa.array([described]))
        live.add_live("u", said(1), rows, {sha256: content})
        [kept] = live.artifacts(["u"]).to_pylist()
        assert (kept["sha256"], kept["bytes"]) == (sha256, len(content))
        assert f'"sha256": "{sha256}"' in live.results("a")["vectors"].to_pylist()[0]

    def test_each_unit_lists_its_files_and_one_made_anew_as_it_is(self, live):
        for unit, sha256 in (("u", "f"), ("v", "f"), ("u", "g")):
            files = {"path": ["runs/step_1"], "sha256": [sha256], "bytes": [3]}
            live.add_artifacts(unit, pa.table(files))
        listed = {row["unit"]: row["sha256"] for row in live.artifacts(["u", "v"]).to_pylist()}
        assert listed == {"u": "g", "v": "f"}
