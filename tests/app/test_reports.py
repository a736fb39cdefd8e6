"""The page of reports: what is chosen, what it would say, and the reports that were made."""

from app.reports import kept
from tests.app import fake_client, fake_trials
from tests.app.seen import button, titles, words


def expander(at, start):
    [found] = [one for one in at.expander if one.label.replace("\\", "").startswith(start)]
    return found


def test_the_contents_are_shown_before_the_report_is_made(planted, opened):
    at = opened(planted, "reports?model=tiny")
    assert not at.exception
    assert titles(at)[:2] == ["Reports", "Contents"]
    spectra = expander(at, "Weight spectra")
    said = " ".join(line.value for line in spectra.markdown).replace("\\", "")
    assert "Effective rank by block and module" in said
    assert "blocks.1.k holds NaN at row 3" in said
    assert expander(at, "Rank trade-offs")
    assert kept.listed(planted.home) == []


def test_a_report_is_made_kept_and_removed(fresh, opened):
    at = opened(fresh, "reports?model=tiny&format=md")
    button(at, "Make the report").click().run()
    assert not at.exception
    [one] = kept.listed(fresh.home)
    assert (one.model, one.form) == ("tiny", "md")
    assert "Weight spectra" in one.sections
    assert b"blocks.1.k holds NaN at row 3" in kept.content(fresh.home, one).replace(b"\\", b"")
    assert "Earlier reports" in titles(at)
    labels = [offer.proto.label for offer in at.get("download_button")]
    assert labels[0].startswith("Download md, ")
    assert labels[1:] == ["Download"]
    button(at, "Remove").click().run()
    assert kept.listed(fresh.home) == []
    assert "Earlier reports" not in titles(at)


def test_every_choice_is_in_the_address(swept, opened):
    job = swept.store.jobs().query("analysis == 'trial'")["id"].iloc[0]
    at = opened(swept, "reports?model=tiny")
    at.selectbox(key="format").set_value("pdf").run()
    at.multiselect(key="report_jobs").set_value([job]).run()
    at.toggle(key="report_tradeoffs").set_value(False).run()
    trial = fake_trials.label("svd", 0.9)
    at.multiselect(key="report_trials").set_value([trial]).run()
    figure = at.multiselect(key="report_without").options
    assert len(figure) >= 2
    address = {key: at.query_params[key] for key in ("format", "report_jobs", "report_trials")}
    address = {
        key: value if isinstance(value, str) else value[-1] for key, value in address.items()
    }
    assert address == {"format": "pdf", "report_jobs": job, "report_trials": trial}
    again = opened(
        swept,
        f"reports?model=tiny&format=pdf&report_jobs={job}&report_tradeoffs=0"
        f"&report_trials={trial.replace(' ', '%20').replace('%,', '%25,')}",
    )
    assert again.expander[0].label.partition(" ")[0] == "Compression"
    assert "1 row," in " ".join(line.value for line in expander(again, "Compression").markdown)


def test_a_figure_can_be_left_out(planted, opened):
    at = opened(planted, "reports?model=tiny")
    before = expander(at, "Weight spectra").label
    job = planted.store.jobs().query("model == 'tiny'")["id"].iloc[0]
    name = f"{job}-1-effective-rank-by-block-and-module"
    at = opened(planted, f"reports?model=tiny&report_without={name}")
    after = expander(at, "Weight spectra").label
    assert before != after


def test_a_model_without_a_finished_job_says_what_to_do(fresh, opened):
    layers = [("blocks.0.q", "q", 0, (64, 64))]
    fresh.own.add_model(fake_client.model_row("new", 1), fake_client.tensor_table(layers))
    assert "Nothing to report yet" in titles(opened(fresh, "reports?model=new"))


def test_an_empty_home_says_what_to_do(empty, opened):
    assert "No model yet" in titles(opened(empty, "reports"))


def test_nothing_chosen_is_said(planted, opened):
    at = opened(planted, "reports?model=tiny&report_jobs=none&report_tradeoffs=0")
    assert "Nothing is chosen" in titles(at)


def test_a_full_disk_is_a_sentence(fresh, opened, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "keep", full)
    at = opened(fresh, "reports?model=tiny&format=md")
    button(at, "Make the report").click().run()
    assert "No space left on device" in at.error[0].value
    assert titles(at)[:2] == ["Reports", "Contents"]


def test_names_are_text(tmp_path, opened):
    name = "<script>alert(1)</script>"
    client = fake_client.with_models(tmp_path, name)
    at = opened(client, "reports?format=md")
    button(at, "Make the report").click().run()
    assert not at.exception
    assert name in words(at)
    [one] = kept.listed(client.home)
    assert one.file == "rankscope-script-alert-1-script.md"
    client.own.close()
