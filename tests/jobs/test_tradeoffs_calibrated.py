"""Trade-offs over the curves of a calibration, against sums made by hand."""

import numpy as np
import pandas as pd
import pytest

from jobs import calibrated, switch_ranks
from jobs.errors import JobError
from jobs.linear_layers import LinearLayers, stamp
from jobs.proxy import StoreProxy
from jobs.tradeoffs import ALLOCATIONS, FORMS, OBJECTIVES, Tradeoffs
from store import Store
from tests.jobs import planted_factors
from tests.jobs.test_tradeoffs import SHAPES, plant, values

METHOD = "two_sided_svd"
DEFAULTS = ("greedy", "two_factor", "expected")


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A calibrated model that is only read: its rows by layer, and its trade-offs."""
    with Store(tmp_path_factory.mktemp("home")) as made:
        found = calibrate(made)
        yield found, loaded(made)


def rows(method=METHOD, without=(), only=tuple(SHAPES), slope=0.0):
    return [
        planted_factors.row(
            layer, SHAPES[layer], planted_factors.tail(values()[layer]), method=method,
            scale=2.0**place, without=without, slope=slope,
        )
        for place, layer in enumerate(SHAPES) if layer in only
    ]  # fmt: skip


def calibrate(store, **changed):
    """A model with spectra, and the curves of a method."""
    plant(store, spectra=values())
    made = rows(**changed)
    planted_factors.add(store, "m", made)
    return {row["layer"]: row for row in made}


def loaded(store, method=METHOD):
    return Tradeoffs.load(StoreProxy(store), "m", method)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_the_predicted_loss_is_the_sum_over_the_ranks(measured, allocation, form, objective):
    made, trade = measured
    point = trade.at(0.6, allocation, form, objective)
    nats, after = 0.0, 0
    for row in point.layers.itertuples():
        m, n = SHAPES[row.layer]
        own = 0.0 if row.dense else made[row.layer]["expected"][row.rank]
        assert row.nats == own
        nats += own
        plain = made[row.layer]["plain"]
        lost = 0.0 if row.dense else plain[row.rank] / plain[0]
        assert row.error == pytest.approx(np.sqrt(lost), rel=1e-14)
        held = row.rank * (m + n) if form == "two_factor" else row.rank * (m + n - row.rank)
        after += m * n if row.dense else held
    assert point.nats == pytest.approx(nats, rel=1e-14)
    assert point.parameters == after <= 0.6 * point.of_parameters
    assert point.nats > 0


@pytest.mark.parametrize(
    ("objective", "column", "own"),
    [("expected", "expected", False), ("whitened", "whitened", True), ("relative", "plain", True)],
)
def test_the_error_is_of_the_objective(measured, objective, column, own):
    made, trade = measured
    point = trade.at(0.5, "uniform", "row_interpolative", objective)
    lost = [made[r.layer][column][r.rank] for r in point.layers.itertuples()]
    whole = [made[r.layer][column][0] for r in point.layers.itertuples()]
    shares = [a / b for a, b in zip(lost, whole, strict=True)]
    wanted = np.mean(shares) if own else sum(lost) / sum(whole)
    assert point.error == pytest.approx(np.sqrt(wanted), rel=1e-14)


def test_greedy_on_predicted_loss_predicts_the_least(measured):
    _, trade = measured
    for kept in (0.3, 0.5, 0.7, 0.9):
        nats = {o: trade.at(kept, "greedy", "two_factor", o).nats for o in trade.objectives}
        assert nats["expected"] == min(nats.values())


def test_a_curve_is_of_predicted_loss_and_goes_through_the_points(measured):
    _, trade = measured
    assert trade.predicts
    sizes, nats = trade.curve("uniform", "two_factor", "whitened")
    again = [trade.at(float(s), "uniform", "two_factor", "whitened").nats for s in sizes]
    assert nats.tolist() == again
    assert nats[-1] == 0


def test_the_comparison_predicts_too(measured):
    _, trade = measured
    for row in trade.compare(0.6, "expected").to_dict("records"):
        point = trade.at(0.6, row["allocation"], row["form"], "expected")
        assert (row["nats"], row["bytes"]) == (point.nats, point.bytes)


def test_without_gradients_there_is_no_prediction(store):
    calibrate(store, without=("expected",))
    trade = loaded(store)
    assert trade.objectives == ["whitened", "relative", "total"]
    assert not trade.predicts
    point = trade.at(0.6, "greedy", "two_factor", "whitened")
    assert point.nats is None
    assert point.layers["nats"].isna().all()
    _, errors = trade.curve("greedy", "two_factor", "whitened")
    assert errors[0] <= 1
    with pytest.raises(JobError, match="predicted loss, in nats is not known here: choose of whit"):
        trade.at(0.6, *DEFAULTS)


def test_spectra_alone_know_energy_only(store):
    plant(store, spectra=values())
    trade = loaded(store, method="")
    assert trade.objectives == ["relative", "total"]
    assert trade.at(0.6, "greedy", "two_factor", "relative").nats is None


def test_a_large_prediction_is_called_unreliable(measured):
    _, trade = measured
    low, high = trade.at(0.9, *DEFAULTS), trade.at(0.02, *DEFAULTS)
    assert low.nats <= 0.3 < high.nats
    assert not [w for w in low.warnings if "reliable" in w]
    assert "not reliable above 0.3 nats" in high.warnings[0]


def test_layers_without_a_curve_stay_dense_and_are_named(store):
    calibrate(store, only=("blocks.0.up", "blocks.1.q"))
    trade = loaded(store)
    assert trade.missing == ["blocks.0.q"]
    point = trade.at(0.7, *DEFAULTS)
    row = point.layers.set_index("layer").loc["blocks.0.q"]
    assert row["dense"]
    assert pd.isna(row["nats"])
    assert row["reason"] == "dense: no curve of two_sided_svd"
    assert "without a curve of two_sided_svd: 1 of 3" in point.warnings[0]
    assert point.parameters <= 0.7 * point.of_parameters
    with pytest.raises(JobError, match="linear layers without a curve of two_sided_svd stay dense"):
        trade.at(0.1, *DEFAULTS)


def test_the_best_prediction_is_offered_first_and_what_covers_little_is_not(store):
    plant(store, spectra=values())
    for method in ("asvd", "whitened_svd", METHOD):
        planted_factors.add(store, "m", rows(method))
    planted_factors.add(store, "m", rows("svd", without=("expected",)))
    planted_factors.add(store, "m", rows("fwsvd", only=("blocks.0.q",)))  # a quarter
    planted_factors.add(store, "m", rows("rtn:bits=4", without=planted_factors.LISTS))
    proxy = StoreProxy(store)
    table = LinearLayers.load(proxy, "m").table
    assert calibrated.methods(proxy, "m", table) == [METHOD, "whitened_svd", "asvd", "svd"]


def test_without_a_calibration_no_method_is_offered(store):
    plant(store, spectra=values())
    proxy = StoreProxy(store)
    assert calibrated.methods(proxy, "m", LinearLayers.load(proxy, "m").table) == []


def test_curves_of_weights_since_replaced_are_left_out(store):
    changed = values()
    changed["blocks.0.q"] = changed["blocks.0.q"] * 1.001
    plant(store, spectra=changed)
    planted_factors.add(store, "m", rows())
    proxy = StoreProxy(store)
    found = calibrated.Calibrated.load(proxy, "m", METHOD, LinearLayers.load(proxy, "m"))
    assert found.replaced == ("blocks.0.q",)
    assert list(found.rows) == ["blocks.0.up", "blocks.1.q"]


def test_a_unit_that_names_the_matrix_by_content_is_believed(store):
    changed = values()
    changed["blocks.0.q"] = changed["blocks.0.q"] * 1.001
    plant(store, spectra=changed)
    planted_factors.add(store, "m", rows(), inputs='[["key-blocks.0.q"]]')
    proxy = StoreProxy(store)
    found = calibrated.Calibrated.load(proxy, "m", METHOD, LinearLayers.load(proxy, "m"))
    assert found.replaced == ()
    assert found.tokens == 4096


def test_the_stamp_changes_with_a_new_calibration(store):
    plant(store, spectra=values())
    proxy = StoreProxy(store)
    seen = [stamp(proxy, "m", proxy.labels("m"))]
    for method in (METHOD, "svd"):
        planted_factors.add(store, "m", rows(method))
        seen.append(stamp(proxy, "m", proxy.labels("m")))
    assert len(set(seen)) == 3


@pytest.mark.parametrize("method", ["", METHOD])
def test_the_ranks_of_a_point_by_hand_are_the_same_point(store, method):
    calibrate(store)
    trade = loaded(store, method)
    objective = trade.objectives[0]
    for form in FORMS:
        point = trade.at(0.6, "greedy", form, objective)
        again = trade.by_hand(point.ranks, form, objective)
        assert again.parameters == point.parameters
        assert again.kept == point.parameters / point.of_parameters
        assert (again.nats, again.error, again.bytes) == (point.nats, point.error, point.bytes)
        assert again.layers["rank"].tolist() == point.layers["rank"].tolist()


def test_the_slope_of_the_loss_is_part_of_what_is_predicted(store):
    made = calibrate(store, slope=0.3)
    point = loaded(store).by_hand({"blocks.0.q": 5}, "two_factor", "expected")
    layer = made["blocks.0.q"]
    assert point.nats == layer["expected"][5] + layer["first_order"][5] != layer["expected"][5]


def directions(made, common=0.5):
    """Of each layer: z at every rank, with a mean square of 1, in part the same in all."""
    draw = np.random.default_rng(0)
    shared, found = draw.standard_normal(200), {}
    for layer, row in made.items():
        own = draw.standard_normal((len(row["plain"]), 200))
        unit = common * shared + (1 - common) * own
        unit /= np.sqrt((unit**2).mean(1))[:, None]
        unit[-1] = 0
        found[layer] = unit.astype(np.float16)
    return found


def with_directions(store, without=()):
    """A calibration whose layers have directions, and a function that reads them."""
    plant(store, spectra=values())
    made = [
        planted_factors.row(
            layer, shape, planted_factors.tail(values()[layer]), method=METHOD, slope=0.01,
            cell="" if layer in without else layer,
        )
        for layer, shape in SHAPES.items()
    ]  # fmt: skip
    planted_factors.add(store, "m", made)
    found = {row["layer"]: row for row in made}
    kept = directions(found)
    return found, kept, Tradeoffs.load(StoreProxy(store), "m", METHOD, kept.__getitem__)


@pytest.mark.parametrize("form", FORMS)
def test_layers_are_squared_together_where_their_tokens_are_known(store, form):
    made, kept, trade = with_directions(store)
    point = trade.at(0.6, "greedy", form, "expected")
    whole, slopes, z = 0, 0, {}
    for row in point.layers.itertuples():
        if not row.dense:
            length = np.sqrt(2 * made[row.layer]["expected"][row.rank])
            z[row.layer] = length * kept[row.layer][row.rank].astype(float)
            whole = whole + z[row.layer]
            slopes += made[row.layer]["first_order"][row.rank]
    assert len(z) > 1
    assert point.nats == pytest.approx(slopes + 0.5 * (whole**2).mean(), rel=2**-9)
    alone = slopes + sum(made[layer]["expected"][r] for layer, r in point.ranks.items())
    assert point.nats > 1.1 * alone
    assert point.layers["nats"].sum() == pytest.approx(point.nats, rel=1e-12)
    for row in point.layers[~point.layers["dense"]].itertuples():
        share = 0.5 * (z[row.layer] * whole).mean() + made[row.layer]["first_order"][row.rank]
        assert row.nats == pytest.approx(share, rel=2**-8)


def test_a_layer_without_tokens_is_added_up_alone_and_said(store):
    made, _, trade = with_directions(store, without=("blocks.0.q",))
    point = trade.at(0.6, "greedy", "two_factor", "expected")
    assert any("Predicted alone" in said and "blocks.0.q" in said for said in point.warnings)
    row = point.layers.set_index("layer").loc["blocks.0.q"]
    assert not row["dense"]
    of = made["blocks.0.q"]
    assert row["nats"] == pytest.approx(
        of["expected"][row["rank"]] + of["first_order"][row["rank"]]
    )


def test_directions_that_nobody_reads_are_refused(store):
    with_directions(store)
    with pytest.raises(ValueError, match="expected a reader of arrays"):
        loaded(store)


def test_a_rank_by_hand_beyond_the_break_even_is_counted_and_said(store):
    made = calibrate(store)
    point = loaded(store).by_hand({"blocks.0.q": 20}, "two_factor", "expected")
    assert point.parameters == 20 * 48 + 48 * 24 + 24 * 24
    assert point.nats == made["blocks.0.q"]["expected"][20]
    assert point.warnings == ("Larger than dense at the rank that is set: blocks.0.q.",)
    reasons = point.layers.set_index("layer")["reason"]
    assert reasons["blocks.0.up"] == "dense: no rank is set"
    assert reasons["blocks.0.q"] == ""


def test_a_rank_that_cannot_be_is_a_sentence(store):
    calibrate(store)
    with pytest.raises(JobError, match=r"ranks by hand: expected a rank of blocks\.0\.q from 0 to"):
        loaded(store).by_hand({"blocks.0.q": 25}, "two_factor", "expected")


RANKS = {
    "name": "stable_rank",
    "columns": [
        {"name": "layer", "type": "str"},
        *({"name": name, "type": "int"} for name in ("step", "rows", "cols", "rank")),
        {"name": "switch_rank", "type": "int", "optional": True},
    ],
}


def followed(store, found, model="m"):
    """A finished stable-rank job with these rows: (layer, step, (rows, cols), rank, switch)."""
    import pyarrow as pa

    store.declare(RANKS)
    store.create_job({
        "id": "s", "model": model, "analysis": "stable_rank", "params": "{}", "layers": "*",
        "device": "auto", "total": 1,
    })  # fmt: skip
    table = pa.Table.from_pylist(
        [
            {"layer": layer, "step": step, "rows": shape[0], "cols": shape[1], "rank": rank,
             "switch_rank": switch}
            for layer, step, shape, rank, switch in found
        ],
        schema=pa.schema([
            ("layer", pa.string()),
            *((n, pa.int64()) for n in ("step", "rows", "cols", "rank", "switch_rank")),
        ]),
    )  # fmt: skip
    unit = {
        "key": "s-unit", "analysis": "stable_rank", "version": 1, "params": "{}", "inputs": "[]",
        "state": "done", "message": "", "seconds": 0.1, "device": "cpu", "versions": "{}",
    }  # fmt: skip
    store.finish_unit(unit, table, None, None)
    store.link_unit("s", "series", "s-unit", "done")
    store.set_job("s", "DONE")


def test_the_last_ranks_of_a_stable_rank_job_are_read(store):
    plant(store, spectra=values())
    followed(store, [
        ("blocks.0.q", 200, (24, 24), 9, None),
        ("blocks.0.q", 100, (24, 24), 12, None),
        ("blocks.0.up", 200, (48, 24), 8, 6),
        ("blocks.1.q", 200, (64, 64), 30, 30),  # of another model
        ("embed", 200, (100, 24), 20, 20),  # no linear layer
    ])  # fmt: skip
    proxy = StoreProxy(store)
    table = LinearLayers.load(proxy, "m").table
    assert switch_ranks.jobs(proxy, "m") == ["s"]
    assert switch_ranks.jobs(proxy, "other") == []
    assert switch_ranks.ranks(proxy, "s", table) == {"blocks.0.q": 9, "blocks.0.up": 6}


def test_a_stable_rank_job_of_other_layers_says_so(store):
    plant(store, spectra=values())
    followed(store, [("blocks.1.q", 200, (64, 64), 30, 30)])
    proxy = StoreProxy(store)
    with pytest.raises(JobError, match="job s has no rank of a linear layer of this model"):
        switch_ranks.ranks(proxy, "s", LinearLayers.load(proxy, "m").table)
