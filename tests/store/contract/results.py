"""What a job found, and whole tables."""

import io
import pickle

import numpy as np
import pyarrow.parquet
import pytest

from store import StoreError
from tests.store import examples


class ResultsContract:
    def test_each_label_has_its_state_and_columns(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        found = {
            "embed": ("u1", "done", 2.0),
            "q": ("u2", "failed", "holds NaN"),
            "v": ("u3", "zero", "all entries are zero"),
        }
        examples.run_job(fresh_store, "a", found)
        fresh_store.link_unit("a", "o", None, "waiting")
        table = fresh_store.results("a")
        assert table.column_names[:3] == ["label", "status", "message"]
        assert table.column_names[3:] == [c["name"] for c in examples.SPECTRUM["columns"]]
        assert table["status"].to_pylist() == ["done", "failed", "zero", "waiting"]
        assert table["message"].to_pylist() == ["", "holds NaN", "all entries are zero", ""]
        assert table["stable_rank"].to_pylist() == [2.0, None, None, None]

    def test_results_fit_into_parquet_and_csv(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        examples.run_job(fresh_store, "a", {"embed": ("u1", "done", 2.0)})
        table = fresh_store.results("a")
        file = io.BytesIO()
        pyarrow.parquet.write_table(table, file)
        assert pyarrow.parquet.read_table(file).equals(table)
        assert "embed,done,,8,4,2.0" in table.to_pandas().to_csv(index=False)

    def test_a_classification_lists_its_rows_and_what_stood_in_its_way(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        fresh_store.declare(examples.WELORE)
        fresh_store.create_job(examples.job("w", analysis="welore"))
        fresh_store.finish_unit(examples.unit("u1"), examples.rows(), None, None)
        fresh_store.finish_unit(examples.unit("u2", "failed", message="holds NaN"))
        fresh_store.link_unit("w", "q", "u1", "done")
        fresh_store.link_unit("w", "v", "u2", "failed")
        examples.classify(fresh_store, "w", {"q": 3, "o": 4})
        found = fresh_store.results("w").to_pylist()
        assert [(row["label"], row["status"], row["layer"], row["rank"]) for row in found] == [
            ("v", "failed", None, None),
            ("all", "done", "q", 3),
            ("all", "done", "o", 4),
        ]

    def test_a_job_of_an_undeclared_analysis_still_lists_its_labels(self, fresh_store):
        fresh_store.create_job(examples.job("a", analysis="unheard"))
        fresh_store.link_unit("a", "embed", None, "waiting")
        assert fresh_store.results("a").to_pylist() == [
            {"label": "embed", "status": "waiting", "message": ""}
        ]

    def test_any_table_can_be_read_whole(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        examples.run_job(fresh_store, "a", {"embed": ("u1", "done", 2.0)})
        frames = {name: fresh_store.table(name).to_pandas() for name in fresh_store.tables()}
        assert {"model", "job", "unit", "spectrum", "result_spectrum", "log"} <= set(frames)
        assert list(frames["result_spectrum"]["stable_rank"]) == [2.0]
        with pytest.raises(StoreError, match="no table is named 'unit; drop table unit'"):
            fresh_store.table("unit; drop table unit")

    def test_counts_the_bytes_of_the_file(self, fresh_store):
        before = fresh_store.counts().to_pylist()[0]
        examples.keep(fresh_store, {"m": np.arange(20_000.0)[::-1]})
        after = fresh_store.counts().to_pylist()[0]
        assert after["bytes"] >= before["bytes"] + 50_000
        assert (after["units"], after["spectra"]) == (1, 1)

    def test_answers_survive_pickling(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        examples.run_job(fresh_store, "a", {"embed": ("u1", "done", 2.0)})
        for answer in (fresh_store.results("a"), fresh_store.profile("tiny")):
            assert pickle.loads(pickle.dumps(answer)).equals(answer)
        error = StoreError("a sentence")
        assert str(pickle.loads(pickle.dumps(error))) == "a sentence"
