"""How long a job of trials is said to take: by its counts, at the pace of earlier stages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs import plan, requests
from jobs.catalog import Catalog
from jobs.client import Client
from jobs.trials import durations
from jobs.trials.plan import Asked
from tests.jobs.made_up_stages import MadeUp, made

__all__ = ["made"]

pytestmark = pytest.mark.usefixtures("listed", "made")

Ask = Callable[..., Asked]
SWEEP = {"methods": "svd, whitened_svd", "kept": "0.8, 0.6"}


@pytest.fixture
def ask(client: Client, home: Path, model: Path) -> Ask:
    name = client.resolve(str(model))

    def asked(**params: Any) -> Asked:
        declared = client.catalog()["analyses"]["trial"]
        checked = client._checked(declared, params, restrict_to_roots=False)
        row = {"model": name, "analysis": "trial", "layers": "*", "params": json.dumps(checked)}
        request = requests.of(client._engine.store, Catalog.load(home), row)
        source = plan._source(request)
        return Asked(request, source, plan._refs(request, source, {}))

    return asked


def stages(asked: Asked) -> list[durations.Planned]:
    return list(durations.planned(asked, vars(asked.given)))


def total(asked: Asked) -> float:
    return sum(stage.seconds or 0.0 for stage in stages(asked))


def earlier(asked: Asked, pace: float, took: float = 1.0) -> list[dict[str, Any]]:
    """Stages that took `pace` times what they count; jobs that took a share of their sum."""
    rows = [
        {"job": "a", "analysis": one.kind, "label": one.label, "seconds": pace * one.seconds}
        for one in stages(asked)
        if one.seconds is not None
    ]
    whole = took * sum(row["seconds"] for row in rows)
    return [{**row, "params": json.dumps(vars(asked.given)), "took": whole} for row in rows]


def test_every_stage_of_a_job_is_counted_and_no_other(
    client: Client, model: Path, ask: Ask, made: MadeUp
) -> None:
    params = {**SWEEP, "allocations": "sensitivity", "recovery_steps": 2, "compensation": "none"}
    client.submit(client.resolve(str(model)), "trial", params)
    ran = [(kind, label) for kind, label in made.ran if kind != "keep"]
    assert sorted((one.kind, one.label) for one in stages(ask(**params))) == sorted(ran)


def test_counts_follow_what_is_asked_for(ask: Ask) -> None:
    plain = ask(**SWEEP)
    [evaluation] = [one for one in stages(plain) if one.kind == "evaluation"]
    # A product and a sum for each parameter and token of 64 windows of 256.
    assert evaluation.operations == 2 * plain.source.run_parameters * 64 * 256
    assert durations.of(plain, []) == pytest.approx(total(plain))
    half = ask(**SWEEP, windows=32)
    passes = 1 + len(plain.specs)
    more = passes * evaluation.operations / 2 / durations.RATE
    assert total(plain) - total(half) == pytest.approx(more)
    fewer = ask(methods="svd", kept="0.8", gradient="none")
    assert not [one for one in stages(fewer) if one.kind == "calibrate"]


def test_earlier_stages_set_the_pace(ask: Ask) -> None:
    before = ask(**SWEEP)
    times = earlier(before, pace=3.0, took=0.5)
    assert durations.of(before, times) == pytest.approx(0.5 * 3.0 * total(before))
    # Other settings: their own counts, at the same pace.
    other = ask(**SWEEP, windows=256, calibration_windows=128)
    assert durations.of(other, times) == pytest.approx(0.5 * 3.0 * total(other))


def test_a_stage_goes_by_what_is_most_like_it(ask: Ask) -> None:
    asked = ask(**SWEEP)
    times = earlier(asked, pace=1.0)
    slow = next(row for row in times if row["label"].startswith("factors of svd"))
    slow["seconds"] *= 1000
    [counted] = [s.seconds for s in stages(asked) if s.label == slow["label"]]
    assert counted is not None
    found = durations.of(asked, times)
    # The jobs took as long as before, a smaller share of what their stages now come to.
    spent = sum(row["seconds"] for row in times)
    assert found == pytest.approx(times[0]["took"] / spent * (total(asked) + 999 * counted))
    others = [row for row in times if row["label"] != slow["label"]]
    assert durations.of(asked, [*others, slow]) == pytest.approx(found)


def test_a_text_of_unknown_length_is_known_by_an_earlier_pass(ask: Ask) -> None:
    asked = ask(**SWEEP, windows=0)
    assert durations.of(asked, []) is None
    assert durations.of(asked, earlier(ask(**SWEEP), pace=1.0)) is None
    known = [one for one in stages(asked) if one.seconds is not None]
    same = {"job": "a", "params": json.dumps(vars(asked.given))}
    rows = [
        {**same, "analysis": one.kind, "label": one.label, "seconds": one.seconds or 7.0}
        for one in stages(asked)
    ]
    took = sum(row["seconds"] for row in rows)
    found = durations.of(asked, [{**row, "took": took} for row in rows])
    unknown = len(rows) - len(known)
    assert unknown == 1 + len(asked.specs)
    assert found == pytest.approx(7.0 * unknown + sum(one.seconds or 0.0 for one in known))


def test_the_store_has_the_times_of_what_jobs_computed(
    client: Client, model: Path, made: MadeUp
) -> None:
    name = client.resolve(str(model))
    first = client.submit(name, "trial", {"methods": "svd", "kept": "0.8"})
    made.fails = {"svd, 60 %, greedy, two factor"}
    second = client.submit(name, "trial", {"methods": "svd", "kept": "0.8, 0.6, 0.4"})
    found = client.store.stage_times(name)
    assert set(found["job"]) == {first, second}
    # What the second job found stored is the first one's, and what failed says nothing.
    own = found[found["job"] == second]
    assert list(own["analysis"]) == ["trial"]
    assert (found["took"] > 0).all()
    assert found.groupby("job")["seconds"].sum().lt(found.groupby("job")["took"].first()).all()
    assert json.loads(found["params"].iloc[0])["kept"] == "0.8, 0.6, 0.4"
    said = client.predict(name, "trial", {"methods": "svd", "kept": "0.7"})
    assert said["seconds"] > 0
    assert said["words"].endswith("; what is stored is not run again")
