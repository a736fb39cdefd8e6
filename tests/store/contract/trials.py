"""What compression jobs left: curves by layer and method, and trials."""

import pyarrow as pa

from tests.store import examples

LISTS = ("plain", "whitened", "heldout", "expected", "first_order")
FACTORS = {
    "name": "factors",
    "columns": [
        {"name": "layer", "type": "str"},
        {"name": "rows", "type": "int"},
        {"name": "cols", "type": "int"},
        {"name": "method", "type": "str"},
        {"name": "tokens", "type": "int"},
        *({"name": name, "type": "floats"} for name in LISTS),
    ],
}
LATER = [
    {"name": "sample", "type": "str"},
    {"name": "levels", "type": "floats"},
    {"name": "directions", "type": "array"},
]
TRIAL = {
    "name": "trial",
    "columns": [
        {"name": "method", "type": "str"},
        {"name": "delta", "type": "float"},
        {"name": "nats", "type": "floats"},
    ],
}


class TrialsContract:
    def test_without_any_there_are_no_curves_and_no_trials(self, fresh_store):
        modelled(fresh_store)
        assert fresh_store.factor_curves("tiny").num_rows == 0
        assert fresh_store.factor_methods("tiny").num_rows == 0
        assert fresh_store.trials("tiny").to_pylist() == []
        fresh_store.declare(FACTORS)
        fresh_store.declare(TRIAL)
        named = [fresh_store.factor_curves(name).column_names for name in ("tiny", "other")]
        assert named[0] == named[1] == fresh_store.factor_curves("tiny", "svd").column_names
        assert fresh_store.trials("tiny").num_rows == 0

    def test_an_empty_answer_has_the_columns_and_types_of_a_full_one(self, fresh_store):
        modelled(fresh_store)
        before = [fresh_store.factor_curves("tiny"), fresh_store.factor_methods("tiny")]
        factored(fresh_store, "a", {"q": 1.0})
        after = [fresh_store.factor_curves("tiny"), fresh_store.factor_methods("tiny")]
        assert [table.schema for table in before] == [table.schema for table in after]

    def test_rows_of_before_have_no_directions_and_later_ones_have(self, fresh_store):
        modelled(fresh_store)
        factored(fresh_store, "a", {"q": 1.0})
        [old] = fresh_store.factor_curves("tiny").to_pylist()
        assert (old["sample"], old["levels"], old["directions"]) == (None, None, None)
        before = fresh_store.factor_curves("tiny").schema
        fresh_store.declare({**FACTORS, "columns": [*FACTORS["columns"], *LATER]})
        assert fresh_store.factor_curves("tiny").schema == before
        assert fresh_store.factor_curves("tiny").to_pylist() == [old]

    def test_each_layer_has_its_curves_in_the_models_order(self, fresh_store):
        modelled(fresh_store)
        factored(fresh_store, "a", {"v": 2.0, "q": 1.0})
        factored(fresh_store, "b", {"q": 3.0}, method="asvd", expected=())
        found = fresh_store.factor_curves("tiny").to_pylist()
        assert [(row["layer"], row["method"], row["plain"][0]) for row in found] == [
            ("q", "asvd", 3.0),
            ("q", "svd", 1.0),
            ("v", "svd", 2.0),
        ]
        first = found[1]
        assert (first["rows"], first["cols"], first["tokens"]) == (8, 4, 100)
        assert first["whitened"] == first["heldout"] == [0.5, 0.4, 0.3, 0.2, 0.0]
        assert (first["job"], first["label"]) == ("a", "svd of block 0")
        assert first["unit"] == "unit of a"
        assert first["inputs"] == '["matrix"]'
        [only] = fresh_store.factor_curves("tiny", "asvd").to_pylist()
        assert (only["layer"], only["expected"]) == ("q", [])

    def test_which_there_are_is_told_without_their_numbers(self, fresh_store):
        modelled(fresh_store)
        factored(fresh_store, "a", {"v": 2.0, "q": 1.0})
        factored(fresh_store, "b", {"q": 3.0}, method="asvd", expected=())
        found = fresh_store.factor_methods("tiny").to_pylist()
        assert [(r["method"], r["layer"], r["whitened"], r["expected"]) for r in found] == [
            ("asvd", "q", True, False),
            ("svd", "q", True, True),
            ("svd", "v", True, True),
        ]
        assert all(row["plain"] for row in found)
        assert (found[0]["job"], found[0]["number"], found[0]["tokens"]) == ("b", 2, 100)
        assert found[0]["unit"] == "unit of b"

    def test_the_newest_jobs_curve_counts_also_when_it_took_over_an_old_unit(self, fresh_store):
        modelled(fresh_store)
        factored(fresh_store, "a", {"q": 1.0, "v": 2.0})
        factored(fresh_store, "b", {"q": 3.0})
        found = fresh_store.factor_curves("tiny").to_pylist()
        assert [(row["plain"][0], row["job"]) for row in found] == [(3.0, "b"), (2.0, "a")]
        fresh_store.create_job(examples.job("c", analysis="trial"))
        fresh_store.link_unit("c", "svd of block 0", "unit of a", "skipped")
        found = fresh_store.factor_curves("tiny").to_pylist()
        assert [(row["plain"][0], row["job"]) for row in found] == [(1.0, "c"), (2.0, "c")]

    def test_the_mark_changes_with_every_new_unit_and_every_job_that_takes_one_over(
        self, fresh_store
    ):
        modelled(fresh_store)
        seen = [fresh_store.factor_units("tiny").to_pylist()]
        factored(fresh_store, "a", {"q": 1.0, "v": 2.0})
        seen.append(fresh_store.factor_units("tiny").to_pylist())
        factored(fresh_store, "b", {"q": 3.0})
        seen.append(fresh_store.factor_units("tiny").to_pylist())
        fresh_store.create_job(examples.job("c", analysis="trial"))
        fresh_store.link_unit("c", "svd of block 0", "unit of a", "skipped")
        assert seen == [
            [],
            [{"unit": "unit of a", "number": 1}],
            [{"unit": "unit of a", "number": 1}, {"unit": "unit of b", "number": 2}],
        ]
        assert fresh_store.factor_units("tiny")["number"].to_pylist() == [3, 2]
        assert fresh_store.factor_units("other").num_rows == 0

    def test_a_unit_that_failed_gives_no_curve(self, fresh_store):
        modelled(fresh_store)
        factored(fresh_store, "a", {"q": 1.0})
        fresh_store.create_job(examples.job("b", analysis="trial"))
        fresh_store.finish_unit(examples.unit("bad", "failed", "factors", "holds NaN"))
        fresh_store.link_unit("b", "svd of block 0", "bad", "failed")
        assert fresh_store.factor_curves("tiny")["plain"].to_pylist()[0][0] == 1.0

    def test_a_replaced_layer_of_another_shape_shows_no_curve(self, fresh_store):
        modelled(fresh_store)
        factored(fresh_store, "a", {"q": 1.0, "v": 2.0})
        fresh_store.add_model(examples.model(), examples.tensors(["q", "v"], (40, 30)))
        fresh_store.add_labels("tiny", examples.labels(["q", "v"], shape=(40, 30)))
        assert fresh_store.factor_curves("tiny").num_rows == 0

    def test_other_bytes_of_the_same_shape_can_be_told_by_the_key(self, fresh_store):
        modelled(fresh_store)
        fresh_store.link_matrix("tiny", "q", "matrix")
        factored(fresh_store, "a", {"q": 1.0})
        fresh_store.link_matrix("tiny", "q", "new")
        [row] = fresh_store.factor_curves("tiny").to_pylist()
        assert (row["inputs"], row["matrix_key"]) == ('["matrix"]', "new")

    def test_curves_and_trials_of_other_models_stay_apart(self, fresh_store):
        modelled(fresh_store)
        factored(fresh_store, "a", {"q": 1.0}, model="other")
        tried(fresh_store, "b", {"t": 0.1}, model="other")
        assert fresh_store.factor_curves("tiny").num_rows == 0
        assert fresh_store.factor_methods("tiny").num_rows == 0
        assert fresh_store.trials("tiny").num_rows == 0

    def test_trials_come_newest_first_with_their_numbers(self, fresh_store):
        modelled(fresh_store)
        tried(fresh_store, "a", {"svd, 80 %": 0.1, "svd, 60 %": 0.2})
        tried(fresh_store, "b", {"asvd, 80 %": 0.3})
        found = fresh_store.trials("tiny")
        head = "job number place label unit state message finished seconds method delta nats"
        assert found.column_names == head.split()
        rows = found.to_pylist()
        names = ("job", "number", "place", "label", "delta")
        assert [tuple(row[name] for name in names) for row in rows] == [
            ("b", 2, 1, "asvd, 80 %", 0.3),
            ("a", 1, 1, "svd, 80 %", 0.1),
            ("a", 1, 2, "svd, 60 %", 0.2),
        ]
        assert rows[0]["unit"] == "b asvd, 80 %"
        assert rows[0]["nats"] == [1.0, 2.0]
        assert (rows[0]["state"], rows[0]["seconds"]) == ("done", 0.25)
        assert rows[0]["finished"] > 0

    def test_places_are_as_asked_whichever_ends_first_and_count_trials_alone(self, fresh_store):
        modelled(fresh_store)
        fresh_store.declare(TRIAL)
        fresh_store.create_job(examples.job("a", analysis="trial"))
        labels = ["dense model", "svd, 80 %", "svd, 60 %"]
        planned = {
            "label": labels, "unit": [None] * 3, "position": [0, 1, 2],
            "analysis": ["evaluation", "trial", "trial"],
        }  # fmt: skip
        fresh_store.add_job_units("a", pa.table(planned))
        for label in labels[:0:-1]:
            rows = pa.Table.from_pylist([{"method": "svd", "delta": 0.1, "nats": [1.0]}])
            fresh_store.finish_unit(examples.unit(label, "done", "trial"), rows)
            fresh_store.link_unit("a", label, label, "done")
            found = fresh_store.trials("tiny")
            # The last to be asked has its number before the first is there.
            assert found["place"].to_pylist() == {labels[2]: [2], labels[1]: [1, 2]}[label]
        assert found["label"].to_pylist() == labels[1:]

    def test_a_failed_trial_is_there_with_its_sentence_and_no_number(self, fresh_store):
        modelled(fresh_store)
        tried(fresh_store, "a", {"svd, 80 %": "blocks.0.q holds NaN"})
        [row] = fresh_store.trials("tiny").to_pylist()
        assert (row["state"], row["message"]) == ("failed", "blocks.0.q holds NaN")
        assert row["delta"] is None
        assert row["nats"] is None

    def test_a_trial_that_later_jobs_found_stored_is_listed_once_as_the_firsts(self, fresh_store):
        modelled(fresh_store)
        tried(fresh_store, "a", {"svd, 80 %": 0.1})
        fresh_store.create_job(examples.job("b", analysis="sweep"))
        fresh_store.link_unit("b", "svd, 80 %", "a svd, 80 %", "skipped")
        [row] = fresh_store.trials("tiny").to_pylist()
        assert (row["job"], row["delta"], row["state"]) == ("a", 0.1, "done")

    def test_a_trial_belongs_to_an_export_only_where_no_other_job_has_it(self, fresh_store):
        modelled(fresh_store)
        fresh_store.create_job(examples.job("e", analysis="export"))
        tried(fresh_store, "a", {"svd, 80 %": 0.1})
        fresh_store.link_unit("e", "svd, 80 %", "a svd, 80 %", "skipped")
        [row] = fresh_store.trials("tiny").to_pylist()
        assert row["job"] == "a"

    def test_other_stages_of_a_job_are_no_trials(self, fresh_store):
        modelled(fresh_store)
        factored(fresh_store, "a", {"q": 1.0})
        assert fresh_store.trials("tiny").num_rows == 0
        tried(fresh_store, "a2", {"svd, 80 %": 0.1})
        assert fresh_store.trials("tiny").num_rows == 1


def modelled(store):
    """Label q and v of a tiny model; nothing is declared yet."""
    store.add_model(examples.model(), examples.tensors(["q", "v"]))
    store.add_labels("tiny", examples.labels(["q", "v"]))


def factored(store, id, plain, model="tiny", method="svd", expected=(0.4, 0.3, 0.2, 0.1, 0.0)):
    """Run a job whose only unit has a curve of each of these layers that starts at `plain`."""
    store.declare(FACTORS)
    store.create_job(examples.job(id, model, "trial"))
    loss = [0.5, 0.4, 0.3, 0.2, 0.0]
    rows = [
        {"layer": layer, "rows": 8, "cols": 4, "method": method, "tokens": 100,
         "plain": [start, 0.0], "whitened": loss, "heldout": loss, "expected": list(expected),
         "first_order": [-e for e in expected]}
        for layer, start in plain.items()
    ]  # fmt: skip
    schema = pa.schema([
        ("layer", pa.string()), ("rows", pa.int64()), ("cols", pa.int64()),
        ("method", pa.string()), ("tokens", pa.int64()),
        *((name, pa.list_(pa.float64())) for name in LISTS),
    ])  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=schema)
    store.finish_unit(examples.unit(f"unit of {id}", analysis="factors"), table, None, None)
    store.link_unit(id, f"{method} of block 0", f"unit of {id}", "done")


def tried(store, id, found, model="tiny"):
    """Run a job of these trials: {label: change of loss, or the sentence it failed with}."""
    store.declare(TRIAL)
    store.create_job(examples.job(id, model, "trial"))
    for label, outcome in found.items():
        failed = isinstance(outcome, str)
        unit = examples.unit(
            f"{id} {label}", "failed" if failed else "done", "trial", outcome if failed else ""
        )
        rows = {"method": [label], "delta": [outcome], "nats": [[1.0, 2.0]]}
        store.finish_unit(unit, None if failed else pa.table(rows), None, None)
        store.link_unit(id, label, unit["key"], unit["state"])
