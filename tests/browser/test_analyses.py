"""Every analysis on the real server: launched from the page on the sample, read in its own view.

The tests share the server of `test_first_light.py`, which runs later and ends it.
"""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.widgets import came_to_rest, fill

pytestmark = pytest.mark.browser
WHOLE = {"width": 1440, "height": 2200}  # of a page: streamlit scrolls inside of the window
# Fields are filled as a user would, with numbers small enough for a test; what is expected is in
# the analysis' own panel.
LAUNCHES = {
    "welore": ({"Target reduction": "0.3"}, "*", r"of all ranks fall below this threshold"),
    "entanglement": ({"Draws": "4"}, "blocks.0.*", r"deficit"),
    "attention_entanglement": ({"Windows": "3", "Longest": "32"}, "*", r"per octave"),
    "hessian_rank": (
        {"Windows": "1", "Length": "16", "Starts": "2", "Steps": "8", "Traces": "4"},
        "blocks.0.k",
        r"trace",
    ),
    "stable_rank_training": (
        {"Epochs": "18", "Steps of an epoch": "2", "Width": "64", "Blocks": "2"},
        None,
        r"stable rank",
    ),
    "tensorlens": ({"Length": "16", "Probes": "2"}, "*", r"residual"),
}


def fill_number(page, label, value):
    """Type a number into its field, which may lie under the further settings."""
    field = page.get_by_role("spinbutton", name=label, exact=True)
    more = page.get_by_text(re.compile(r"^\d+ more settings$"))
    page.get_by_role("button", name="Launch").wait_for()
    came_to_rest(page)
    if not field.is_visible() and more.count():
        more.click()
    fill(page, "spinbutton", label, value)


@pytest.mark.parametrize("name", LAUNCHES)
def test_each_analysis_is_launched_from_the_page_and_drawn(profiled, visit, screenshots, name):
    fields, layers, expected = LAUNCHES[name]
    about = f"&model=sample&glob={layers}" if layers else ""
    page = visit(f"analyses?analysis={name}{about}")
    for label, value in fields.items():
        fill_number(page, label, value)
    page.get_by_role("button", name="Launch").click()
    expect(page).to_have_url(re.compile("job="))
    expect(page.get_by_text("Done: 1 of 1 units").or_(page.get_by_text(re.compile(
        r"Done: (\d+) of \1 units")))).to_be_visible(timeout=240_000)  # fmt: skip
    page.wait_for_selector(".js-plotly-plot .main-svg")
    came_to_rest(page)
    expect(page.get_by_text(re.compile(expected, re.IGNORECASE)).first).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.set_viewport_size(WHOLE)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.reload()
        page.wait_for_selector(".js-plotly-plot .main-svg")
        came_to_rest(page)
        page.wait_for_timeout(1500)
        picture = page.screenshot(path=screenshots / f"{name}-{scheme}.png", full_page=True)
        assert len(picture) > 20_000


def test_a_training_run_is_watched_cancelled_and_resumed(profiled, visit):
    page = visit("analyses?analysis=stable_rank_training")
    for label, value in {"Epochs": "40", "Steps of an epoch": "10"}.items():
        fill_number(page, label, value)
    page.get_by_role("button", name="Launch").click()
    bar = page.get_by_text(re.compile(r"stable_rank_training of sample .* (\d+) %"))
    expect(bar).to_be_visible()
    seen = set()
    for _ in range(120):
        seen.add(re.search(r"(\d+) %", bar.inner_text())[1])
        if len(seen) == 4:
            break
        page.wait_for_timeout(1000)
    assert len(seen) == 4, f"in 120 s the bar showed only {seen}"
    page.wait_for_selector(".js-plotly-plot .main-svg")  # rows are drawn while it runs
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("cancelled before its end").first).to_be_visible()
    before = kept_steps(profiled)
    assert before, "the cancelled run kept no checkpoint"
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Done: 1 of 1 units")).to_be_visible(timeout=420_000)
    assert before < kept_steps(profiled)


def kept_steps(server):
    """Return the checkpoints that the home holds."""
    return {str(path) for path in (server.home / "runs").glob("*/step_*")}


def test_checkpoints_that_a_run_kept_are_replayed(profiled, visit, screenshots):
    """The folder that the training above kept is added on Models and followed as a series."""
    kept = sorted((profiled.home / "runs").iterdir())
    assert kept, "the training run kept no checkpoints"
    page = visit("models")
    field = page.get_by_role("textbox", name="Path or hub id")
    field.fill(str(kept[0]))
    field.press("Enter")
    page.get_by_role("button", name="Look inside").click()
    page.get_by_role("button", name="Add this model").click()
    expect(page).to_have_url(re.compile(f"model={kept[0].name}"))
    page.goto(f"{profiled.address}/analyses?analysis=stable_rank&series={kept[0].name}")
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_text("Done: 1 of 1 units")).to_be_visible(timeout=120_000)
    page.wait_for_selector(".js-plotly-plot .main-svg")
    came_to_rest(page)
    page.set_viewport_size(WHOLE)
    page.wait_for_timeout(1500)
    page.screenshot(path=screenshots / "stable_rank-light.png", full_page=True)


def test_a_model_that_cannot_run_says_so_beside_the_button(profiled, visit):
    page = visit("analyses?analysis=hessian_rank&model=sample&glob=blocks.0.k")
    field = page.get_by_role("spinbutton", name="Length", exact=True)
    field.fill("300")
    field.press("Enter")
    expect(page.get_by_text("has 256 positions")).to_be_visible()
    expect(page.get_by_role("button", name="Launch")).to_be_disabled()


def test_a_slider_on_trade_offs_answers(profiled, visit, screenshots):
    page = visit("rank_tradeoffs?model=sample")
    page.wait_for_selector(".js-plotly-plot .main-svg")
    came_to_rest(page)
    page.set_viewport_size(WHOLE)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(1500)
        page.screenshot(path=screenshots / f"rank_tradeoffs-{scheme}.png", full_page=True)
    thumb = page.get_by_role("slider").first
    thumb.focus()
    thumb.press("ArrowLeft")
    expect(page).to_have_url(re.compile("keep=59"))
    expect(page.get_by_test_id("stException")).to_have_count(0)
