"""The page that compares, on the real server: a click, a link, a hostile name, its pictures."""

import re

import pytest
from playwright.sync_api import expect

from tests.app import fake_client, fake_trials
from tests.browser.conftest import SEEN, WIDE
from tests.browser.server import served
from tests.browser.widgets import address, at_rest, came_to_rest, click_point, leads

pytestmark = pytest.mark.browser
EVIL = "<script>alert(1)</script>"
# Streamlit asks for these below a page's own address first, and then where they are.
PROBES = ("/_stcore/health", "/_stcore/host-config")
# Where the cell of a layer lies on the page, from the drawn figure itself.
CELL = """layer => {
    for (const plot of document.querySelectorAll('.js-plotly-plot')) {
        const squares = plot.data.find(trace => trace.customdata);
        const at = squares ? squares.customdata.findIndex(named => named[0] === layer) : -1;
        if (at < 0) continue;
        const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
        return [box.x + xaxis._offset + xaxis.d2p(squares.x[at]),
                box.y + yaxis._offset + yaxis.d2p(squares.y[at])];
    }
}"""
LEGEND = """() => [...document.querySelectorAll('.js-plotly-plot .legendtext')]
    .map(text => text.textContent)"""


@pytest.fixture(scope="module")
def compared(browser, tmp_path_factory):
    """Return a server that only browses two models of different depth and a hostile third."""
    home = tmp_path_factory.mktemp("home")
    client = fake_client.with_models(home)
    fake_client.add_profile(client.own, "deep", blocks=4, seed=1)
    fake_client.add_profile(client.own, "flat", blocks=2, seed=2)
    fake_client.add_profile(client.own, EVIL, blocks=2, seed=3)
    fake_trials.with_trials(client, "deep")
    client.own.close()
    with served(home, "--", "--no-ray") as server:
        yield server


@pytest.fixture
def seen(browser, compared):
    """Return a function that opens an address; what went wrong in the browser is a failure."""
    wrong, opened = [], []

    def see(part, scheme="light"):
        page = browser.new_page(color_scheme=scheme, viewport=WIDE)
        page.set_default_timeout(SEEN)
        opened.append(page)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: _outside(request.url))
        page.on("console", _said)
        page.goto(f"{compared.address}/{part}")
        page.get_by_test_id("stDataFrame").first.wait_for()
        came_to_rest(page)
        return page

    def _outside(url):
        own = (compared.address, compared.address.replace("http", "ws", 1), "data:", "blob:")
        if not url.startswith(own):
            wrong.append(url)

    def _said(message):
        if message.type == "error" and not message.location["url"].endswith(PROBES):
            wrong.append(message.text)

    yield see
    for page in opened:
        page.close()
    assert wrong == []


def test_a_click_on_a_difference_opens_both_decays_and_its_link_brings_them_back(seen):
    page = seen("compare?models=deep&models=flat&metric=stable_rank")
    click_point(page, *at_rest(page, CELL, "blocks.1.q"))
    leads(page, "layers=blocks.1.q")
    assert at_rest(page, LEGEND) == ["A · blocks.1.q", "B · blocks.1.q"]
    again = seen(re.sub("^https?://[^/]*/", "", address(page)))
    assert at_rest(again, LEGEND) == ["A · blocks.1.q", "B · blocks.1.q"]


def test_what_only_the_deeper_model_has_is_opened_alone_and_said(seen):
    page = seen("compare?models=deep&models=flat")
    click_point(page, *at_rest(page, CELL, "blocks.3.q"))
    expect(page.get_by_text("B has no blocks.3.q.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("B has no blocks.3.q.")).to_be_visible()


def test_a_hostile_name_is_text(seen):
    page = seen(f"compare?models=deep&models={EVIL}")
    expect(page.get_by_text(f"B · {EVIL}").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["models", "trials"])
def test_comparisons_are_pictured(seen, screenshots, kind, scheme):
    page = seen(f"compare?kind={kind}&model=deep", scheme)
    page.wait_for_timeout(1500)  # plotly's and the table's own drawing
    picture = page.screenshot(path=screenshots / f"compare-{kind}-{scheme}.png", full_page=True)
    assert len(picture) > 20_000
