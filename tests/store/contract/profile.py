"""The newest results of each layer of a model."""

from tests.store import examples


class ProfileContract:
    def test_the_newest_results_are_shown_in_the_models_order(self, fresh_store):
        profiled(fresh_store)
        examples.run_job(fresh_store, "a", {name: (f"a{name}", "done", 2.0) for name in "vq"})
        examples.run_job(fresh_store, "b", {"v": ("bv", "done", 3.0)})
        found = fresh_store.profile("tiny").to_pylist()
        assert [(row["layer"], row["stable_rank"], row["job"]) for row in found] == [
            ("q", 2.0, "a"),
            ("v", 3.0, "b"),
        ]
        assert [row["status"] for row in found] == ["done", "done"]

    def test_it_names_every_column_once(self, fresh_store):
        profiled(fresh_store)
        examples.run_job(fresh_store, "a", {"v": ("av", "done", 2.0)})
        found = fresh_store.profile("tiny")
        head = "layer tensor block module view kind rows cols dtype matrix_key status message job"
        own = ["stable_rank", "alpha", "alpha_reason", "vectors"]
        assert found.column_names == head.split() + own + ["welore_low_rank", "welore_rank"]
        assert found["matrix_key"].to_pylist() == [examples.KEY]

    def test_an_old_unit_that_a_new_job_takes_over_is_the_newest(self, fresh_store):
        profiled(fresh_store)
        examples.run_job(fresh_store, "a", {"v": ("first", "done", 2.0)})
        examples.run_job(fresh_store, "b", {"v": ("second", "done", 3.0)})
        fresh_store.create_job(examples.job("c"))
        fresh_store.link_unit("c", "v", "first", "skipped")
        [found] = fresh_store.profile("tiny").to_pylist()
        assert (found["stable_rank"], found["job"]) == (2.0, "c")

    def test_a_failed_rerun_hides_nothing_and_is_told(self, fresh_store):
        profiled(fresh_store)
        examples.run_job(fresh_store, "a", {"v": ("u1", "done", 2.0)})
        examples.run_job(fresh_store, "b", {"v": ("u2", "failed", "holds NaN")})
        [found] = fresh_store.profile("tiny").to_pylist()
        assert (found["stable_rank"], found["status"], found["job"]) == (2.0, "done", "a")
        assert found["message"] == "failed in job b (shown: job a): holds NaN"

    def test_layers_with_no_numbers_appear_with_their_state(self, fresh_store):
        profiled(fresh_store)
        states = {"q": ("uq", "failed", "holds NaN"), "v": ("uv", "zero", "all zero")}
        examples.run_job(fresh_store, "a", states)
        fresh_store.link_unit("a", "o", None, "failed", "the worker died")
        fresh_store.link_unit("a", "k", None, "waiting")
        found = fresh_store.profile("tiny").to_pylist()
        assert [(row["layer"], row["status"], row["message"]) for row in found] == [
            ("q", "failed", "holds NaN"),
            ("v", "zero", "all zero"),
            ("o", "failed", "the worker died"),
        ]
        assert all(row["stable_rank"] is None for row in found)

    def test_the_newest_classification_stands_beside(self, fresh_store):
        profiled(fresh_store)
        examples.run_job(fresh_store, "a", {name: (f"a{name}", "done", 2.0) for name in "qv"})
        for id, rank in (("w1", 3), ("w2", 4)):
            fresh_store.create_job(examples.job(id, analysis="welore"))
            examples.classify(fresh_store, id, {"q": rank})
        found = fresh_store.profile("tiny")
        assert found["welore_rank"].to_pylist() == [4, None]
        assert found["welore_low_rank"].to_pylist() == [True, None]

    def test_tied_layers_share_a_unit_and_a_spectrum(self, fresh_store):
        profiled(fresh_store)
        shared = {"q": ("u", "done", 2.0), "v": ("u", "done", 2.0)}
        examples.run_job(fresh_store, "a", shared)
        assert fresh_store.profile("tiny")["stable_rank"].to_pylist() == [2.0, 2.0]

    def test_other_models_stay_apart(self, fresh_store):
        profiled(fresh_store)
        examples.run_job(fresh_store, "a", {"v": ("u", "done", 2.0)}, model="other")
        assert fresh_store.profile("tiny").num_rows == 0

    def test_results_of_other_bytes_are_not_shown(self, fresh_store):
        profiled(fresh_store)
        examples.run_job(fresh_store, "a", {name: (f"a{name}", "done", 2.0) for name in "qv"})
        examples.run_job(fresh_store, "b", {"v": ("bv", "done", 3.0)}, matrix="new")
        examples.run_job(fresh_store, "c", {"q": ("cq", "failed", "holds NaN")}, matrix="new")
        found = fresh_store.profile("tiny").to_pylist()
        assert [(row["layer"], row["stable_rank"], row["message"]) for row in found] == [
            ("q", None, "holds NaN"),
            ("v", 3.0, ""),
        ]
        assert fresh_store.results("a")["stable_rank"].to_pylist() == [2.0, 2.0]

    def test_a_classification_of_other_bytes_is_not_shown(self, fresh_store):
        profiled(fresh_store)
        examples.run_job(fresh_store, "a", {name: (f"a{name}", "done", 2.0) for name in "qv"})
        fresh_store.create_job(examples.job("w", analysis="welore"))
        examples.classify(fresh_store, "w", {"q": 3, "v": 4})
        examples.run_job(fresh_store, "b", {"v": ("bv", "done", 3.0)}, matrix="new")
        assert fresh_store.profile("tiny")["welore_rank"].to_pylist() == [3, None]

    def test_a_replaced_file_shows_nothing_old_until_a_job_has_read_it(self, fresh_store):
        added(fresh_store, ["q", "v", "o"])
        states = {name: (f"a{name}", "done", 2.0) for name in "qvo"}
        examples.run_job(fresh_store, "a", states)
        added(fresh_store, ["q", "v"], shape=(40, 30))
        assert fresh_store.profile("tiny").num_rows == 0
        assert fresh_store.labels("tiny")["matrix_key"].to_pylist() == [None, None]
        examples.run_job(fresh_store, "b", {"v": ("bv", "done", 3.0)}, matrix="new")
        [found] = fresh_store.profile("tiny").to_pylist()
        assert [found[name] for name in ("layer", "rows", "stable_rank")] == ["v", 40, 3.0]
        assert fresh_store.results("a")["stable_rank"].to_pylist() == [2.0] * 3

    def test_a_layer_that_died_without_a_unit_goes_with_its_tensor(self, fresh_store):
        added(fresh_store, ["q", "v"])
        fresh_store.create_job(examples.job("a"))
        fresh_store.link_unit("a", "v", None, "failed", "the worker died")
        assert fresh_store.profile("tiny")["layer"].to_pylist() == ["v"]
        added(fresh_store, ["q"])
        assert fresh_store.profile("tiny").num_rows == 0


def added(store, names, shape=(8, 4)):
    """Add a model of these layers as the client does."""
    store.declare(examples.SPECTRUM)
    store.add_model(examples.model(), examples.tensors(names, shape))
    store.add_labels("tiny", examples.labels(names, shape=shape))


def profiled(store):
    """Declare both analyses and label q, v and o of a tiny model."""
    store.declare(examples.SPECTRUM)
    store.declare(examples.WELORE)
    store.add_model(examples.model(), examples.tensors())
    store.add_labels("tiny", examples.labels(["q", "v", "o"]))
