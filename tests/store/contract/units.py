"""A unit is stored once and whole, whoever tries how often."""

import concurrent.futures
import json

import numpy as np
import pyarrow as pa
import pytest

from store import StoreError
from tests.store import examples


class UnitsContract:
    def test_storing_a_unit_again_changes_nothing(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        kept = pa.table({"sha256": ["f"], "path": ["artifacts/f"], "bytes": [3]})
        for stable_rank in (2.0, 9.0):
            once_and_again = pa.concat_tables([examples.rows(stable_rank)] * int(stable_rank))
            fresh_store.finish_unit(
                examples.unit("u"),
                once_and_again,
                examples.spectra({"m": [stable_rank]}),
                kept,
            )
        assert fresh_store.table("result_spectrum")["stable_rank"].to_pylist() == [2.0, 2.0]
        assert fresh_store.spectra(["m"])["s"].to_pylist() == [[2.0]]
        assert fresh_store.artifacts(["u"]).to_pylist() == [
            {"sha256": "f", "path": "artifacts/f", "bytes": 3, "unit": "u"}
        ]

    def test_a_failure_gives_way_to_a_success_but_never_the_reverse(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        partial = pa.concat_tables([examples.rows(9.0)] * 2)
        fresh_store.finish_unit(examples.unit("u", "failed", message="lost"), partial, None, None)
        assert fresh_store.known_units(["u", "v"]).to_pylist() == [{"key": "u", "state": "failed"}]
        fresh_store.finish_unit(examples.unit("u"), examples.rows(), None, None)
        fresh_store.finish_unit(examples.unit("u", "failed"), None, None, None)
        assert fresh_store.known_units(["u"]).to_pylist() == [{"key": "u", "state": "done"}]
        assert fresh_store.table("result_spectrum")["stable_rank"].to_pylist() == [2.5]

    def test_a_unit_with_a_row_that_does_not_fit_leaves_nothing(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        wrong = examples.rows().append_column("surprise", [[1]])
        with pytest.raises(StoreError, match=r"result_spectrum.*'surprise'"):
            fresh_store.finish_unit(examples.unit("u"), wrong, None, None)
        with pytest.raises(StoreError, match=r"result_unheard.*not declared"):
            fresh_store.finish_unit(
                examples.unit("u", analysis="unheard"), examples.rows(), None, None
            )
        assert fresh_store.known_units(["u"]).num_rows == 0
        fresh_store.finish_unit(examples.unit("u"), examples.rows(), None, None)
        assert fresh_store.known_units(["u"]).num_rows == 1

    def test_eight_threads_write_the_same_keys_and_count_to_800(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)

        def write(_thread):
            for i in range(100):
                fresh_store.finish_unit(
                    examples.unit(f"u{i}"),
                    examples.rows(float(i)),
                    examples.spectra({f"m{i}": [float(i), 0.0]}),
                    None,
                )
                fresh_store.count_attempt("counted")

        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            list(threads.map(write, range(8)))
        [counted] = fresh_store.attempts(["counted"]).to_pylist()
        assert counted == {"unit": "counted", "count": 800}
        found = fresh_store.table("result_spectrum")
        assert sorted(found["stable_rank"].to_pylist()) == [float(i) for i in range(100)]
        assert fresh_store.counts().to_pylist()[0]["units"] == 100

    def test_reads_run_beside_writes(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)

        def read(_thread):
            return [fresh_store.spectra([f"m{i}"]).num_rows for i in range(20)]

        with concurrent.futures.ThreadPoolExecutor(3) as threads:
            reading = threads.map(read, range(2))
            for i in range(20):
                examples.keep(fresh_store, {f"m{i}": np.arange(9.0)})
            list(reading)
        assert fresh_store.counts().to_pylist()[0]["spectra"] == 20

    def test_a_spectrum_is_stored_once_however_often_it_comes(self, fresh_store):
        tied = pa.concat_tables([examples.spectra({"m": [2.0]}), examples.spectra({"m": [3.0]})])
        fresh_store.finish_unit(examples.unit("first"), None, tied, None)
        fresh_store.finish_unit(examples.unit("second"), None, tied, None)
        assert fresh_store.spectra(["m"])["s"].to_pylist() == [[2.0]]

    def test_an_array_is_described_as_text(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        kept = {"path": "artifacts/f.npy", "shape": [8, 4], "dtype": "float16", "sha256": "f"}
        described = examples.rows().append_column("vectors", pa.array([kept]))
        fresh_store.finish_unit(examples.unit("u"), described, None, None)
        [text] = fresh_store.table("result_spectrum")["vectors"].to_pylist()
        assert '"shape": [8, 4]' in text

    def test_a_wrong_state_is_the_callers_mistake(self, fresh_store):
        with pytest.raises(ValueError, match=r"expected a state of done, failed, zero, got 'over'"):
            fresh_store.finish_unit(examples.unit("u", "over"), None, None, None)
        with pytest.raises(ValueError, match="expected a state of waiting"):
            fresh_store.link_unit("a", "embed", "u", "over")
        fresh_store.create_job(examples.job("a"))
        with pytest.raises(ValueError, match="expected a state of QUEUED"):
            fresh_store.set_job("a", "over")

    def test_a_record_says_what_a_unit_was_made_of_and_with(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        fresh_store.finish_unit(examples.unit("u"), examples.rows(), None, None)
        [found] = fresh_store.records(["u", "v"]).to_pylist()
        given = examples.unit("u")
        for name in ("key", "analysis", "device", "seconds"):
            assert found[name] == given[name]
        for name in ("inputs", "versions"):
            assert json.loads(found[name]) == given[name]
        assert fresh_store.records([]).num_rows == 0
