"""Every page under axe-core, light and dark, and the pages by keyboard alone.

The pages of the sample are of the server of `test_first_light.py`; those of trials and of two
models are of one that only browses, with made-up results.
"""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.app import fake_client, fake_trials
from tests.browser.conftest import SEEN
from tests.browser.server import served
from tests.browser.widgets import at_rest, came_to_rest, leads

pytestmark = pytest.mark.browser
WHOLE = {"width": 1440, "height": 2400}  # of a page: streamlit scrolls inside of the window
FIGURE, TABLE = ".js-plotly-plot .main-svg", "[data-testid=stDataFrame]"
SETTLED = "() => document.querySelectorAll('*').length"
GRAVE = {"serious", "critical"}
# What Streamlit's own elements are found to have, by axe's rule and the selector of the element;
# "undecided" is what axe leaves to be looked at.
STREAMLITS = {
    ("aria-prohibited-attr", "[data-testid=stMultiSelect] span[data-tag]"): (
        "undecided: a chosen name is a span with an aria-label and no role; it says the same as "
        "the words within, and its button to remove it has a name of its own"
    ),
    ("color-contrast", "[data-testid=stSidebar] [data-testid=stCaptionContainer] p"): (
        "undecided: the sidebar's handle lies over the words, so that axe sees no ground; "
        "tests/app/test_contrast.py computes their contrast"
    ),
}
# Address: what is there when the page is drawn.
OF_THE_SAMPLE = {
    "rank_profile?model=sample&layers=blocks.3.v": FIGURE,
    "rank_tradeoffs?model=sample": FIGURE,
    "analyses?model=sample&analysis=spectrum": FIGURE,
    "analyses?model=sample&analysis=welore": FIGURE,
    "models?model=sample": TABLE,
    "compression?model=sample": "input[aria-label='Sizes to keep']",
    "reports?model=sample": "[data-testid=stBaseButton-primary]",
    "jobs": TABLE,
}
MADE_UP = {
    "compare?models=deep&models=flat": FIGURE,
    "compare?kind=trials&model=deep": TABLE,
    "compression?model=deep": FIGURE,
}
# A figure's menu stands beside it: within its height.
FOCUSED = """() => {
    const at = document.activeElement, here = at.getBoundingClientRect();
    const figure = document.querySelector('.js-plotly-plot').getBoundingClientRect();
    return {label: at.getAttribute('aria-label'), role: at.getAttribute('role'),
            menu: at.dataset.testid === 'stPopoverButton'
                && here.top >= figure.top - 1 && here.bottom <= figure.bottom,
            seen: at !== document.body && at.getClientRects().length > 0};
}"""
MOST_TABS = 40


@pytest.fixture(scope="module")
def made_up(browser, tmp_path_factory):
    """Return a server that only browses: two models, and trials of one."""
    home = tmp_path_factory.mktemp("home")
    client = fake_client.with_models(home)
    fake_client.add_profile(client.own, "deep", blocks=4, seed=1)
    fake_client.add_profile(client.own, "flat", blocks=2, seed=2)
    fake_trials.with_trials(client, "deep")
    client.own.close()
    with served(home, "--", "--no-ray") as server:
        yield server


@pytest.fixture
def looked_at(browser):
    """Return a function that says what axe-core finds on a page, all that folds being open."""
    opened = []

    def look(address, drawn, scheme):
        page = browser.new_page(color_scheme=scheme, viewport=WHOLE, reduced_motion="reduce")
        page.set_default_timeout(SEEN)
        opened.append(page)
        page.goto(address)
        page.wait_for_selector(drawn)
        came_to_rest(page)
        for fold in page.locator("details:not([open]) > summary").element_handles():
            fold.click()
        at_rest(page, SETTLED)
        return [*_grave(page)]

    yield look
    for page in opened:
        page.close()


def _grave(page):
    """Yield each serious finding that is not in the table of Streamlit's own."""
    found = Axe().run(page).response
    assert len(found["passes"]) > 10, "axe-core looked at an empty page"
    for rule in [*found["violations"], *found["incomplete"]]:
        known = ", ".join(selector for name, selector in STREAMLITS if name == rule["id"])
        for node in rule["nodes"]:
            [at] = node["target"]
            ours = not known or not page.locator(at).first.evaluate("(e, s) => e.matches(s)", known)
            if node["impact"] in GRAVE and ours:
                yield f"{rule['id']} at {at}: {node['html'][:200]} {node['failureSummary']}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", OF_THE_SAMPLE)
def test_pages_of_the_sample_have_no_serious_finding(profiled, looked_at, address, scheme):
    found = looked_at(f"{profiled.address}/{address}", OF_THE_SAMPLE[address], scheme)
    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", MADE_UP)
def test_pages_of_trials_and_comparisons_have_none(made_up, looked_at, address, scheme):
    assert looked_at(f"{made_up.address}/{address}", MADE_UP[address], scheme) == []


def test_axe_core_finds_what_is_wrong(profiled, visit):
    page = visit("models")
    page.wait_for_selector(TABLE)
    came_to_rest(page)
    page.evaluate("""() => {
        const main = document.querySelector('[data-testid=stMain]');
        const words = main.querySelector('[data-testid=stCaptionContainer]');
        words.querySelector('p').style.color = '#aaa';
        words.insertAdjacentHTML('beforeend', '<img src="data:,">');
    }""")
    rules = {line.split()[0] for line in _grave(page)}
    assert rules == {"color-contrast", "image-alt"}


def tabbed_to(page, reached):
    """Press Tab until the focus is on what is asked for; each stop on the way can be seen."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        assert at["seen"], at
        if reached(at):
            return
    raise AssertionError(f"not reached in {MOST_TABS} steps; the last was {at}")


def test_tab_leads_from_the_top_to_the_model_its_first_figure_and_its_layers(profiled, visit):
    page = visit("rank_profile?model=sample")
    page.wait_for_selector(FIGURE)
    came_to_rest(page)
    tabbed_to(page, lambda at: at["label"] == "Model" and at["role"] == "combobox")
    # A figure's own stop is the menu beside it, for its files; cells are opened by their names.
    tabbed_to(page, lambda at: at["menu"])
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stPopoverBody")).to_be_visible()
    page.keyboard.press("Escape")
    tabbed_to(page, lambda at: at["label"] == "Open layers" and at["role"] == "combobox")
    page.keyboard.type("blocks.2.down")
    expect(page.get_by_role("option", name="blocks.2.down", exact=True)).to_be_visible()
    page.keyboard.press("Enter")
    leads(page, "layers=blocks.2.down")
    page.keyboard.press("Escape")  # the open list hides the page from what reads it aloud
    heading = page.get_by_role("heading", name="Singular-value decay · blocks.2.down")
    expect(heading).to_be_visible()
