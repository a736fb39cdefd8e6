"""What the page of compression says of a trial's speed, by the sentences that trials write."""

from types import SimpleNamespace

import pytest

from analysis.compress.trials.comparing import Comparison
from tests.app import fake_client, fake_trials
from tests.app.test_compression_trials import PAGE, cards, table

DENSE = 10.0  # milliseconds of one pass


def timed(kept, latency):
    """Return the row of a trial that is as large as planted, with the warnings that it earns."""
    found = fake_trials.row("svd", kept, 0.1, latency=latency, dense_latency=DENSE)
    given = SimpleNamespace(
        spec=SimpleNamespace(kept=kept), params=SimpleNamespace(recovery_steps=0)
    )
    pace = SimpleNamespace(
        dense=SimpleNamespace(latency=DENSE / 1e3), trial=SimpleNamespace(latency=latency / 1e3)
    )
    quiet = SimpleNamespace(warnings=())
    compared = Comparison(
        given=given, made=quiet, dense=None, before=None, after=quiet,
        losses=(), sizes=found, pace=pace, texts=("", "", ""),
    )  # fmt: skip
    return found | {"warnings": "\n".join(compared._warnings())}


@pytest.mark.parametrize(
    ("kept", "latency", "beside", "said"),
    [
        (0.6, 8.0, "1.25× as fast", []),
        (0.6, 12.5, "0.80× as fast", ["Slower than dense here: 0.80 times its speed"]),
        (0.6, 10.0, "1.00× as fast", []),
        (1.0, 12.5, "0.80× as fast", []),  # the dense model itself, timed twice
    ],
)
def test_a_trial_says_when_it_is_slower_than_dense(offered, opened, kept, latency, beside, said):
    job = fake_client.add_job(offered.own, "tiny", "trial", labels=["a"])
    name = fake_trials.label("svd", kept)
    trial = fake_trials.add_trial(offered, job, timed(kept, latency), name)
    at = opened(offered, f"{PAGE}&trial={trial}")
    assert not at.exception
    assert [w.value.replace("\\", "").partition(" (")[0] for w in at.warning] == said
    shown = cards(at)["Latency"]
    assert float(shown[0].removesuffix(" ms")) == latency
    assert shown[1] == f"dense 10 ms: {beside}"


def test_the_list_tells_the_slower_trial_from_the_faster(offered, opened):
    job = fake_client.add_job(offered.own, "tiny", "trial", labels=["a", "b"])
    for kept, latency in ((0.8, 8.0), (0.6, 12.5)):
        name = fake_trials.label("svd", kept)
        fake_trials.add_trial(offered, job, timed(kept, latency), name)
    at = opened(offered, PAGE)
    assert not at.exception
    speed = table(at, "trials").set_index("asked")["speed"].to_dict()
    assert speed == pytest.approx({80.0: 1.25, 60.0: 0.8})
