"""How quick each page is in the browser, over a home as full as one becomes (see `seed.py`).

    python -m tests.bench.pages [--home HOME] [--write]

Without a home one is seeded for the while. Each page is visited once, which is told apart, for then
the server reads what it keeps after; and then five times, whose medians are told, in seconds of the
browser's own clock: from the navigation to the first heading, figure or table; to the page whole,
with its script ended and every figure drawn; and from a click or key to the whole answer. `--write`
puts the table into the README, between its marks.
"""

import argparse
import os
import re
import shutil
import statistics
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from store import Store
from tests.bench import seed
from tests.browser.conftest import ARGUMENTS, SEEN, WIDE
from tests.browser.server import served
from tests.browser.test_first_light import CELL
from tests.browser.widgets import at_rest, click_point
from tests.machine import machine

README = Path(__file__).parents[2] / "README.md"
TABLE = re.compile(r"(<!-- load:.*?-->\n).*?(<!-- /load -->)", re.DOTALL)
ROUNDS = 5
LIMITS = (3.0, 5.0, 2.0)  # seconds: first paint, whole page, selection
HEAD = ("page", "first paint", "whole", "whole at first", "a selection", "answered", "load")
# Beside the page's own script: when anything was first drawn, whether the script has run since a
# hand last did something, and since when the page has been whole.
WATCH = """
const PAINTED = '.stMain :is([data-testid=stHeading], [data-testid=stDataFrame], .main-svg)';
const HELD = 300;  // milliseconds that a page stays whole before it counts as that
window.bench = {painted: null, acted: 0, ran: true, since: null};
function whole() {
    const app = document.querySelector('[data-testid=stApp]');
    const unfinished = '[data-testid=stSkeleton], [data-testid=stSpinner], [data-stale=true]';
    return app && app.dataset.testScriptState === 'notRunning' && bench.painted !== null
        && !document.querySelector(unfinished)
        && [...document.querySelectorAll('[data-testid=stPlotlyChart]')]
            .every(chart => chart.querySelector('.main-svg'));
}
function look() {
    const now = performance.now();
    if (bench.painted === null && document.querySelector(PAINTED)) bench.painted = now;
    const app = document.querySelector('[data-testid=stApp]');
    if (app && app.dataset.testScriptState !== 'notRunning') bench.ran = true;
    if (!(bench.ran && whole())) bench.since = null;
    else if (bench.since === null) bench.since = now;
    bench.settled = bench.since !== null && now - bench.since > HELD;
}
new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true});
setInterval(look, 20);
for (const kind of ['keydown', 'mousedown'])
    addEventListener(kind, () => {
        Object.assign(bench, {acted: performance.now(), ran: false, since: null, settled: false});
    }, true);
"""


@dataclass(frozen=True)
class Page:
    """A page with what a hand does there."""

    title: str
    address: str
    selection: str
    act: Callable[[Any], None]


def another(label: str) -> Callable[[Any], None]:
    """Return what takes an option of a list that is not the chosen one."""

    def act(page: Any) -> None:
        page.get_by_role("combobox", name=label, exact=True).first.click()
        page.get_by_role("option", selected=False).first.click()

    return act


def step(page: Any) -> None:
    """Move the first slider by one."""
    thumb = page.get_by_role("slider").first
    thumb.focus()
    thumb.press("ArrowLeft")


def cell(page: Any) -> None:
    """Click a cell in the middle of the large model's map."""
    click_point(page, *at_rest(page, CELL, f"blocks.{seed.BLOCKS // 2}.up"))


def pages() -> list[Page]:
    """Return what is measured, in the order of the navigation."""
    large = f"model={seed.LARGE}"
    both = f"models={seed.LARGE}&models=small-04"
    return [
        Page("Models", f"models?{large}", "another model", another("Look inside")),
        Page("Rank profile", f"rank_profile?{large}", "a click on a cell", cell),
        Page("Rank trade-offs", f"rank_tradeoffs?{large}", "a step of the size", step),
        Page("Analyses", f"analyses?{large}&analysis=spectrum", "another job",
             another("Result of job")),
        Page("Compression", f"compression?{large}", "a trial is opened", another("Trial")),
        Page("Compare", f"compare?{both}", "another metric", another("Metric")),
        Page("Reports", f"reports?{large}", "another format", another("Format")),
        Page("Jobs", "jobs", "another job", another("Job")),
    ]  # fmt: skip


def measured(browser: Any, address: str, page: Page) -> tuple[float, ...]:
    """Return medians of a page: first paint, whole, selection; then whole at the first visit."""
    tab = browser.new_page(viewport=WIDE)
    tab.set_default_timeout(SEEN)
    tab.add_init_script(WATCH)
    before, *found = (visited(tab, f"{address}/{page.address}", page) for _ in range(1 + ROUNDS))
    tab.close()
    return *(statistics.median(times) for times in zip(*found, strict=True)), before[1]


def visited(tab: Any, address: str, page: Page) -> tuple[float, float, float]:
    """Return one visit's seconds."""
    tab.goto(address, wait_until="commit")
    tab.wait_for_function("window.bench && bench.settled")
    painted, since = tab.evaluate("[bench.painted, bench.since]")
    page.act(tab)
    tab.wait_for_function("bench.settled")
    answered = tab.evaluate("bench.since - bench.acted")
    if tab.get_by_test_id("stException").count():
        raise SystemExit(f"{page.title} failed: {address}")
    return painted / 1e3, since / 1e3, answered / 1e3


def rows(home: Path, only: str) -> Iterator[list[str]]:
    """Yield the cells of each page, or of those whose title has `only` in it."""
    with served(home, "--", "--no-ray") as server, sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        for page in pages():
            if only.lower() in page.title.lower():
                *times, before = measured(browser, server.address, page)
                paint, whole, answered = map(said, times, LIMITS)
                load = f"{os.getloadavg()[0]:.1f}"
                first = f"{before:.2f} s"
                yield [page.title, paint, whole, first, page.selection, answered, load]
        browser.close()


def said(seconds: float, limit: float) -> str:
    """Return seconds, marked where they are over the limit."""
    over = f" (over {limit:g})" if seconds > limit else ""
    return f"{seconds:.2f} s{over}"


def table(lines: list[list[str]]) -> str:
    """Return Markdown."""
    rule = ["---", "--:", "--:", "--:", "---", "--:", "--:"]
    return "".join(f"| {' | '.join(line)} |\n" for line in [list(HEAD), rule, *lines])


def note(home: Path) -> str:
    """Return the sentences above the table."""
    with Store(home) as store:
        models, jobs = len(store.models()), len(store.jobs())
    words = (
        f"With {models} models, {jobs} jobs and {seed.TRIALS} trials in the store; the pages are "
        f"of a model with {7 * seed.BLOCKS} layers of {seed.WIDTH} singular values. Medians of "
        f"{ROUNDS} visits in chromium, {WIDE['width']} pixels wide, on {os.cpu_count()} cores that "
        f"server and browser share ({machine()}); the first visit after the server's start is told "
        "apart. The limits are {:g} s to the first paint, {:g} s to the whole page and {:g} s from "
        "a selection to its answer. The load is the machine's average of a minute: above about the "
        "number of cores, others took a part of them."
    ).format(*LIMITS)
    return textwrap.fill(words, 100, break_on_hyphens=False) + "\n\n"


def written(readme: str, text: str) -> str:
    """Return the README with the table in its place."""
    return TABLE.sub(lambda found: found[1] + text + found[2], readme)


def main(home: Path, arguments: argparse.Namespace) -> None:
    """Print each page when it is done, and write the table where that is asked for."""
    lines = []
    for line in rows(home, arguments.only):
        lines.append(line)
        print(" | ".join(line), flush=True)
    text = note(home) + table(lines)
    print(f"\n{text}")
    if arguments.write:
        README.write_text(written(README.read_text(), text))


def seeded(folder: str) -> Path:
    """Return a new home in a folder."""
    with Store(folder) as store:
        seed.seed(store, Path(folder))
    return Path(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--home", type=Path, help="a home that was seeded before")
    parser.add_argument("--only", default="", help="pages with this in their title")
    parser.add_argument("--write", action="store_true", help="put the table into the README")
    asked = parser.parse_args()
    if asked.write and asked.only:
        parser.error("--write takes all pages: leave out --only")
    with tempfile.TemporaryDirectory() as folder:
        main(asked.home or seeded(folder), asked)
