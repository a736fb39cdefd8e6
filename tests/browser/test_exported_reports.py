"""Reports in a browser: the file opened from disk with the network off, and the page that makes it.

The file's own policy forbids every connection: what would ask for one shows as a console error. The
page's test shares the server of `test_first_light.py`, which runs later and ends it.
"""

import re

import pytest
from playwright.sync_api import expect

from app.reports import build, html
from tests.app import fake_client, fake_trials
from tests.browser.conftest import WIDE

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Return the file of a planted model's report with its figures' names."""
    folder = tmp_path_factory.mktemp("report")
    client = fake_client.with_models(folder, "<script>alert(1)</script>")
    fake_trials.with_trials(client, "<script>alert(1)</script>")
    made = build.report(client, "<script>alert(1)</script>")
    client.own.close()
    file = folder / "report.html"
    file.write_bytes(html.render(made))
    return file, made


@pytest.fixture
def offline(browser, report):
    """Return a function that opens the file with no network; it notes what goes wrong."""
    contexts = []

    def open_file(scheme, javascript=True):
        context = browser.new_context(
            color_scheme=scheme, viewport=WIDE, java_script_enabled=javascript
        )
        context.set_offline(True)
        contexts.append(context)
        page, wrong, asked = context.new_page(), [], []
        page.on("console", lambda said: wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report[0].as_uri())
        return page, wrong, asked

    yield open_file
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_drawn_with_the_network_off(offline, report, scheme, screenshots):
    page, wrong, asked = offline(scheme)
    names = [name for name, _ in report[1].figures()]
    for name in names:
        expect(page.locator(f"[id='{name}'] .main-svg").first).to_be_visible()
    drawn = page.evaluate(
        """() => [...document.querySelectorAll('.drawing')].map(place =>
            place.querySelectorAll('.scatterlayer path, .barlayer path, .heatmaplayer image')
            .length)"""
    )
    assert len(drawn) == len(names)
    assert all(drawn)
    assert wrong == []
    assert asked == [report[0].as_uri()]
    page.screenshot(path=screenshots / f"report-{scheme}.png", full_page=True)


def test_the_page_turns_dark_with_the_system(offline, report):
    page, wrong, _ = offline("light")
    name = next(name for name, _ in report[1].figures())
    words = page.locator(f"[id='{name}'] .xtick text").first
    light = words.evaluate("word => getComputedStyle(word).fill")
    page.emulate_media(color_scheme="dark")
    expect(words).not_to_have_css("fill", light)
    assert wrong == []


def test_a_name_that_is_a_script_is_shown_as_text(offline):
    page, wrong, _ = offline("light")
    expect(page.locator("h1")).to_have_text("<script>alert(1)</script>")
    assert wrong == []


def test_nothing_gets_out_even_where_a_script_would_ask(offline):
    page, _, asked = offline("light")
    page.context.set_offline(False)
    said = page.evaluate("fetch('http://127.0.0.1:9/x').then(() => 'sent', error => error.name)")
    assert said == "TypeError"
    assert not [address for address in asked if address.startswith("http")]


def test_without_javascript_all_words_and_tables_are_there(offline, report):
    page, _, _ = offline("light", javascript=False)
    expect(page.locator("noscript p")).to_be_visible()
    for section in report[1].sections:
        expect(page.get_by_role("heading", name=section.title, exact=True).first).to_be_visible()
        for figure in section.figures:
            expect(page.get_by_text(figure.caption, exact=True).first).to_be_visible()
    assert page.get_by_role("table").count() > 2


def test_a_report_is_made_on_its_page_and_opens(visit, profiled, browser, tmp_path):
    page = visit("reports?model=sample")
    expect(page.get_by_text("Contents", exact=True)).to_be_visible()
    page.get_by_role("button", name="Make the report").click()
    expect(page.get_by_text("Earlier reports")).to_be_visible(timeout=120_000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download html").click()
    assert download.value.suggested_filename == "rankscope-sample.html"
    file = tmp_path / "report.html"
    download.value.save_as(file)
    context = browser.new_context(viewport=WIDE)
    context.set_offline(True)
    opened = context.new_page()
    opened.goto(file.as_uri())
    expect(opened.locator(".drawing .main-svg").first).to_be_visible()
    assert re.search(r"sha256-", file.read_text()[:2000])
    context.close()
