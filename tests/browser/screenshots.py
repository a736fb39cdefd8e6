"""The README's pictures, of the real server on the bundled sample (`make screenshots`).

An empty home is served, which profiles the sample; a sweep is run from the command line, as the
README says; then each page is pictured as a browser shows it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.browser.conftest import ARGUMENTS
from tests.browser.server import ROOT, Server, served, until
from tests.browser.widgets import at_rest

FOLDER = ROOT / "docs" / "screenshots"
WIDTH, LARGEST = 1440, 300_000  # pixels, bytes
SWEEP = ("sweep", "sample", "--methods", "svd,two_sided_svd", "--keep", "0.8,0.6,0.4")
PROFILED, A_PAGE = 420, 120  # seconds, on a slow machine
FIGURE, TABLE = ".js-plotly-plot .main-svg", "[data-testid=stDataFrame]"
SIZE = "() => document.querySelectorAll('*').length"
# File: the address, what is there when it is drawn, the theme, the height in pixels.
PICTURES = {
    "rank_profile": ("rank_profile?model=sample&layers=blocks.3.v", FIGURE, "light", 900),
    "rank_profile_dark": ("rank_profile?model=sample&layers=blocks.3.v", FIGURE, "dark", 900),
    "rank_tradeoffs": ("rank_tradeoffs?model=sample", FIGURE, "light", 980),
    "compression": ("compression?model=sample", FIGURE, "light", 1740),
    "compare": ("compare?kind=trials&model=sample", TABLE, "light", 1000),
    "reports": ("reports?model=sample", "[data-testid=stBaseButton-primary]", "light", 1000),
}


def main() -> None:
    """Run what the pictures show, and write them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, served(Path(home)) as server:
        until(lambda: profiled(server), PROFILED, lambda: "the sample is not profiled")
        asked(server, *SWEEP)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=ARGUMENTS
            )
            for name, (address, drawn, scheme, height) in PICTURES.items():
                size = {"width": WIDTH, "height": height}
                page = browser.new_page(color_scheme=scheme, viewport=size)
                page.set_default_timeout(A_PAGE * 1000)
                page.goto(f"{server.address}/{address}")
                page.wait_for_selector(drawn)
                written(name, pictured(page))
                page.close()
            browser.close()


def asked(server: Server, *words: str) -> str:
    """Return what a command of `python -m jobs` says, run by the server's workers."""
    env = {**os.environ, "RANKSCOPE_HOME": str(server.home)}
    command = [sys.executable, "-m", "jobs", *words]
    return subprocess.run(
        command, cwd=ROOT, env=env, check=True, capture_output=True, text=True
    ).stdout


def profiled(server: Server) -> bool:
    """Return whether the server's own first jobs, of the sample, have both ended."""
    return asked(server, "status").count("DONE") == 2


def pictured(page: Page) -> bytes:
    """Return a page as PNG, once nothing of it changes any more."""
    at_rest(page, SIZE)
    page.wait_for_timeout(1500)  # plotly's and the tables' own drawing
    return page.screenshot()


def written(name: str, taken: bytes) -> None:
    """Write a picture as the README shows it, as small as its colours allow."""
    file = FOLDER / f"{name}.png"
    Image.open(BytesIO(taken)).convert("RGB").save(file, optimize=True)
    kept = file.stat().st_size
    if kept > LARGEST:
        raise SystemExit(f"{file.name} has {kept:,} bytes, more than {LARGEST:,}: lower its height")
    print(f"{file.relative_to(ROOT)}: {kept / 1000:.0f} kB")


if __name__ == "__main__":
    main()
