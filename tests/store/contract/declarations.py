"""The table of an analysis follows its declaration and never loses a number."""

import pyarrow as pa
import pytest

from store import StoreError
from tests.store import examples


class DeclarationsContract:
    def test_a_new_column_joins_the_rows_that_are_there(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        examples.run_job(fresh_store, "a", {"embed": ("u1", "done", 2.0)})
        wider = [*examples.SPECTRUM["columns"], {"name": "entropy", "type": "float"}]
        fresh_store.declare({"name": "spectrum", "columns": wider})
        later = examples.rows(3.0).append_column("entropy", [[0.5]])
        fresh_store.finish_unit(examples.unit("u2"), later, None, None)
        fresh_store.link_unit("a", "v", "u2", "done")
        found = fresh_store.results("a")
        assert found["stable_rank"].to_pylist() == [2.0, 3.0]
        assert found["entropy"].to_pylist() == [None, 0.5]

    def test_a_dropped_or_renamed_column_keeps_its_numbers(self, fresh_store):
        fresh_store.declare(examples.SPECTRUM)
        examples.run_job(fresh_store, "a", {"embed": ("u1", "done", 2.0)})
        renamed = [
            {**column, "name": column["name"].replace("stable_rank", "stable")}
            for column in examples.SPECTRUM["columns"]
        ]
        fresh_store.declare({"name": "spectrum", "columns": renamed})
        [found] = fresh_store.results("a").to_pylist()
        assert found["stable_rank"] == 2.0
        assert found["stable"] is None

    @pytest.mark.parametrize(
        "name", ["x; drop table unit", 'a"b', "", "1st", "größe", "unit", "row", "status", "Rows"]
    )
    def test_a_name_that_cannot_be_a_column_is_refused(self, fresh_store, name):
        columns = [{"name": "rows", "type": "int"}, {"name": name, "type": "int"}]
        with pytest.raises(StoreError, match="made_up"):
            fresh_store.declare({"name": "made_up", "columns": columns})
        assert "result_made_up" not in fresh_store.tables()

    def test_a_name_that_cannot_be_a_table_is_refused(self, fresh_store):
        with pytest.raises(StoreError, match="expected a name of letters"):
            fresh_store.declare({"name": "x y", "columns": []})

    def test_a_column_that_changes_its_type_is_refused(self, fresh_store):
        fresh_store.declare(examples.WELORE)
        changed = [{"name": "rank", "type": "str"}]
        with pytest.raises(StoreError, match="'rank' of result_welore holds BIGINT"):
            fresh_store.declare({"name": "welore", "columns": changed})
        with pytest.raises(StoreError, match=r"expected a type of float.*got 'complex'"):
            fresh_store.declare({"name": "x", "columns": [{"name": "z", "type": "complex"}]})

    def test_columns_named_like_sql_words_work(self, fresh_store):
        columns = [{"name": name, "type": "int"} for name in ("order", "select", "index", "group")]
        fresh_store.declare({"name": "table", "columns": columns})
        table = pa.table({column["name"]: [i] for i, column in enumerate(columns)})
        fresh_store.create_job(examples.job("a", analysis="table"))
        fresh_store.finish_unit(examples.unit("u", analysis="table"), table, None, None)
        fresh_store.link_unit("a", "all", "u", "done")
        [found] = fresh_store.results("a").to_pylist()
        assert [found[c["name"]] for c in columns] == [0, 1, 2, 3]
