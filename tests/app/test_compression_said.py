"""What the page of compression says of trials: sizes, failures that stay, exports on disk."""

import pytest

from tests.app import fake_client, fake_trials
from tests.app.seen import button, words
from tests.app.test_compression_trials import PAGE, key, table


def test_the_list_says_what_set_a_size_that_no_share_did(swept, opened):
    assert "takes no share" not in words(opened(swept, PAGE))
    job = fake_client.add_job(swept.own, "tiny", "trial", labels=["a"])
    values = fake_trials.row("rtn:bits=3", 0.5, 0.3, nominal=None, allocation="", form="")
    fake_trials.add_trial(swept, job, values, "rtn:bits=3")
    at = opened(swept, PAGE)
    assert not at.exception
    assert "rtn:bits=3 takes no share to keep: bits sets its size." in words(at)
    at = opened(swept, f"jobs?job={job}")
    assert not at.exception
    assert "rtn:bits=3 takes no share to keep" in words(at)


@pytest.mark.parametrize("page", ["compression?model=tiny", "jobs?job="])
def test_a_sweep_that_would_fail_again_is_not_resumed_but_changed(swept, opened, page):
    own = swept.own
    job = fake_client.add_job(own, "tiny", "trial", labels=["mpo, 1 %"], state="RUNNING")
    why = "1 % of the linear layers' parameters is not reached: keep more"
    fake_trials.add_trial(swept, job, None, "mpo, 1 %", state="failed", message=why)
    own.set_job(job, "FAILED", "1 of 1 units failed")
    page += job if page.endswith("=") else ""
    at = opened(swept, page)
    assert not at.exception
    assert why in words(at)
    assert "Resuming would end the same way: change what is named above" in words(at)
    assert "Resume" not in [b.label for b in at.button]
    # Beside what may go well next time it is resumed.
    fake_trials.add_trial(swept, job, None, "svd", state="failed", message="the worker died")
    at = opened(swept, page)
    assert "Resuming would end the same way" not in words(at)
    assert button(at, "Resume")


def test_what_was_exported_of_a_trial_is_counted_and_freed_with_it(swept, opened):
    trial = key(swept, "svd, 90")
    swept.held = [
        {"what": "weights of a trial", "key": trial, "label": "svd", "bytes": 4e6, "used": 1.0},
        {"what": "export", "key": "zip", "label": "svd", "bytes": 3e6, "used": 1.0, "trial": trial},
        {"what": "export", "key": "else", "label": "a", "bytes": 1e6, "used": 1.0, "trial": "a"},
    ]  # fmt: skip
    at = opened(swept, PAGE)
    assert table(at, "trials").set_index("trial")["on disk"]["2.1"] == "7.0 MB"
    at = opened(swept, f"{PAGE}&trial={trial}")
    assert "It holds 7.0 MB of weights and exports on disk" in words(at)
    button(at, "Free 7.0 MB").click().run()
    assert swept.calls[-1] == ("free_disk", [trial, "zip"])
