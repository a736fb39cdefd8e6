"""Compression on the real server: a sweep from the form, its figures, a trial, the model to load.

The tests share the server of `test_first_light.py`, which runs later and ends it. They run in this
order: a calibration, then a sweep, then what the others look at.
"""

import json
import re
import subprocess
import sys
import zipfile

import pytest
from playwright.sync_api import expect
from safetensors import safe_open
from safetensors.torch import save_file

from tests.browser.server import ROOT
from tests.browser.widgets import address, at_rest, came_to_rest, choose, click_point, fill, leads

pytestmark = pytest.mark.browser
WHOLE = {"width": 1440, "height": 2600}  # of a page: streamlit scrolls inside of the window
METHODS = {"svd": "SVD", "whitened_svd": "Whitened SVD (SVD-LLM)"}
SMALL = {"Calibration windows": "8", "Windows": "4"}
SIZES, TRIALS = "0.9, 0.8, 0.6", 6
ENDED = 240_000  # milliseconds; a minute on two quiet cores
# Every point of a figure that a click opens: its method, its trial, where it lies on the page.
POINTS = """title => {
    const found = [];
    for (const plot of document.querySelectorAll('.js-plotly-plot')) {
        const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
        if (!yaxis.title.text.includes(title)) continue;
        for (const trace of plot._fullData)
            (trace.customdata || []).forEach((named, i) => found.push([trace.name, named[0],
                box.x + xaxis._offset + xaxis.d2p(trace.x[i]),
                box.y + yaxis._offset + yaxis.d2p(trace.y[i]), trace.x[i], trace.y[i]]));
    }
    return found;
}"""
FRONT = """() => {
    for (const plot of document.querySelectorAll('.js-plotly-plot'))
        for (const trace of plot._fullData)
            if (trace.name === 'Pareto front') return Array.from(trace.x);
    return [];
}"""
LOADED = """
import sys, torch
from analysis.compress.export.loading import load
network = load(sys.argv[1])
ids = torch.arange(1, 9)[None]
made = network.generate(ids, max_new_tokens=8, min_new_tokens=8, do_sample=False)
held = {id(p): p.numel() for p in network.parameters()}
print(made.shape[1], sum(held.values()), bool(torch.isfinite(network(ids).logits).all()))
"""


@pytest.fixture
def told():
    """Return what the console of the visited pages said of errors; there must be none."""
    return []


@pytest.fixture
def opened(profiled, visit, told, outside):
    """Return a function that opens a page; its console and its requests are looked at after."""

    def opened(address, scheme="light"):
        page = visit(address, scheme)
        page.on("console", lambda said: said.type == "error" and told.append(said.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        return page

    yield opened
    # Streamlit looks for its server below a page's own path too, and finds none there.
    assert [said for said in told if "404 (Not Found)" not in said] == []
    assert outside == []


def picture(page, screenshots, name, *, reload=True):
    """Picture the page light and dark; figures take a theme's colours when they are drawn anew."""
    page.set_viewport_size(WHOLE)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        if reload:
            page.reload()
            page.wait_for_selector(".js-plotly-plot .main-svg")
            came_to_rest(page)
        page.wait_for_timeout(2500)  # the page's own colours, then plotly's
        taken = page.screenshot(path=screenshots / f"compression-{name}-{scheme}.png")
        assert len(taken) > 20_000
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(1500)


def points(page, number=TRIALS, of="Δloss from dense"):
    """Return the points of a figure, once all trials are drawn where they stay."""
    page.wait_for_function(f"({POINTS})('{of}').length >= {number}")
    return at_rest(page, POINTS, of)


def test_trade_offs_are_calibrated_and_their_point_becomes_a_trial(opened, screenshots):
    page = opened("rank_tradeoffs?model=sample")
    expect(page.get_by_text("Weights only: this says little about accuracy").first).to_be_visible()
    page.get_by_role("button", name="Calibrate").click()
    expect(page.get_by_text("Predicted Δloss").first).to_be_visible(timeout=ENDED)
    expect(page.get_by_text(re.compile("activations of sample"))).to_have_count(0, timeout=ENDED)
    came_to_rest(page)
    # What nobody chose follows the results: the best method, its loss, the size as before.
    expect(page.get_by_role("combobox", name="Method")).to_have_value("Two-sided whitened SVD")
    expect(page.get_by_role("combobox", name="Counts as lost")).to_have_value(re.compile("nats"))
    leads(page, "keep=", there=False)
    picture(page, screenshots, "tradeoffs")
    headline = page.get_by_test_id("stMetricValue").first
    before = headline.inner_text()
    thumb = page.get_by_role("slider").first
    for value in range(59, 54, -1):  # a run's answer takes the focus, and a step made meanwhile
        thumb.focus()
        thumb.press("ArrowLeft")
        expect(thumb).to_have_attribute("aria-valuetext", f"{value} %")
        leads(page, f"keep={value}")
        came_to_rest(page)
    assert headline.inner_text() != before
    page.get_by_role("button", name="Launch this as a trial").click()
    expect(page.get_by_role("textbox", name="Sizes to keep")).to_have_value(
        re.compile(r"^0\.5[45]")
    )
    expect(page.get_by_role("button", name="Launch", exact=True)).to_be_enabled()
    leads(page, "compression")


def test_a_sweep_is_launched_from_the_form_and_watched(opened, screenshots):
    page = opened("compression?model=sample")
    expect(page.get_by_text("No trial of sample yet")).to_be_visible()
    choose(page, "Methods", "methods", METHODS)
    fill(page, "textbox", "Sizes to keep", SIZES)
    page.get_by_text("More settings", exact=True).click()
    for label, value in SMALL.items():
        fill(page, "spinbutton", label, value)
    words = "6 blocks calibrated on 8 windows of 256 tokens; 2 methods x 3 sizes"
    expect(page.get_by_text(words)).to_be_visible()
    picture(page, screenshots, "form", reload=False)
    page.get_by_role("button", name="Launch", exact=True).click()
    bar = page.get_by_text(re.compile(r"trial of sample · (\d+) of \d+"))
    seen = set()

    for _ in range(ENDED // 500):
        said = " ".join(bar.all_inner_texts())
        seen.update(re.findall(r"(\d+) of \d+", said))
        if not said and page.get_by_text("All trials").count():
            break
        if len(seen) == 2:
            page.screenshot(path=screenshots / "compression-running-light.png")
        page.wait_for_timeout(500)
    assert len(seen) > 3, f"the bar showed only {seen}"
    found = points(page)
    assert sorted(name for name, *_ in found) == sorted([*METHODS] * 3)


def test_the_figures_have_every_trial_and_a_front(opened, screenshots):
    page = opened("compression?model=sample")
    found = points(page)
    assert len({unit for _, unit, *_ in found}) == TRIALS
    lost = {(name, round(size, 3)): loss for name, _, _, _, size, loss in found}
    for name in METHODS:  # what keeps less loses more, from 0.8 to 0.6 beyond doubt
        low, middle, _ = sorted(size for method, size in lost if method == name)
        assert lost[name, low] > lost[name, middle]
    front = page.evaluate(FRONT)
    assert front == sorted(front)
    assert 2 <= len(front) <= 4
    expect(page.get_by_role("heading", name="Predicted against measured loss")).to_be_visible()
    assert points(page, TRIALS - 1, "measured Δloss")  # one without a loss is left out
    said = page.get_by_text(re.compile("Calibrated on bundled calibration text")).first
    expect(said).to_contain_text("N/n = 2.6 for the widest input")
    expect(said).to_contain_text("4 windows of 256 tokens")
    picture(page, screenshots, "sweep")


def test_a_click_on_a_point_opens_its_trial_and_a_reload_keeps_it(opened, screenshots):
    page = opened("compression?model=sample")
    _, unit, x, y, *_ = next(one for one in points(page) if one[0] == "svd")
    click_point(page, x, y)
    heading = page.get_by_role("heading", name=re.compile(r"Trial \d+\.\d+ · svd, \d+ %, greedy"))
    expect(heading).to_be_visible()
    leads(page, f"trial={unit}")
    named = heading.inner_text()
    page.reload()
    expect(page.get_by_role("heading", name=named.strip())).to_be_visible()
    expect(page.get_by_text("Predicted Δloss").first).to_be_visible()
    expect(page.get_by_role("heading", name="Error by layer")).to_be_visible()
    came_to_rest(page)
    picture(page, screenshots, "trial")
    page.get_by_role("button", name="All trials").click()
    expect(page.get_by_role("heading", name="Accuracy against size")).to_be_visible()
    leads(page, "trial=", there=False)


def test_a_row_of_the_table_opens_its_trial(opened):
    page = opened("compression?model=sample")
    page.set_viewport_size(WHOLE)
    table = page.get_by_test_id("stDataFrame").first
    table.wait_for()
    points(page)
    box = table.bounding_box()
    page.mouse.click(box["x"] + 16, box["y"] + 36 + 18)  # the tick of the first row
    expect(page.get_by_role("button", name="All trials")).to_be_visible()
    leads(page, "trial=")


def test_the_model_is_downloaded_and_loads_in_a_fresh_process(opened, screenshots, tmp_path):
    page = opened("compression?model=sample")
    smallest = min(points(page), key=lambda one: one[4])
    page.goto(f"{address(page)}&trial={smallest[1]}")
    title = page.get_by_role("heading", name=re.compile(r"^Trial \d"))
    named = title.inner_text()
    page.get_by_role("button", name="Prepare factored").click()
    button = page.get_by_role("button", name="Download factored")
    expect(button).to_be_visible(timeout=ENDED)
    assert title.inner_text() == named  # its number stays, whichever job made the files
    came_to_rest(page)
    with page.expect_download() as download:
        button.click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    picture(page, screenshots, "downloaded")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    folder = next(tmp_path.glob("*/model.safetensors")).parent
    with safe_open(folder / "model.safetensors", "np") as held:
        numbers = sum(held.get_tensor(name).size for name in held.keys())  # noqa: SIM118
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert loaded.stdout.split() == ["16", str(numbers), "True"]
    assert json.loads((folder / "trial.json").read_text())["nominal"] == 0.6


def test_a_model_of_which_there_is_no_trial_says_why(opened, profiled):
    folder = profiled.home / "runs" / "only_weights"
    folder.mkdir(parents=True)
    with safe_open(ROOT / "analysis" / "sample" / "model" / "model.safetensors", "pt") as held:
        name = next(name for name in held.keys() if name.endswith("q_proj.weight"))  # noqa: SIM118
        save_file({name: held.get_tensor(name)}, folder / "model.safetensors")
    page = opened("models")
    fill(page, "textbox", "Path or hub id", str(folder))
    page.get_by_role("button", name="Look inside").click()
    page.get_by_role("button", name="Add this model").click()
    expect(page).to_have_url(re.compile("model=only_weights"))
    page.goto(f"{profiled.address}/compression?model=only_weights")
    expect(page.get_by_text("without a config.json").first).to_be_visible()
    expect(page.get_by_role("button", name="Launch", exact=True)).to_be_disabled()
