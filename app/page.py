"""What every page stands in: navigation, the cluster's state, and what is said when it fails.

Streamlit runs this file anew at each interaction.
"""

import contextlib
import itertools
import logging
import sys
from pathlib import Path
from typing import Any

import streamlit as st

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:  # `streamlit run app/main.py` puts only app/ on the path
    sys.path.insert(0, str(ROOT))

from app import connection, quantities  # noqa: E402  the line above makes them importable
from app.views.parts import permalink, states  # noqa: E402
from jobs.errors import JobError, Unreachable  # noqa: E402

# Files of our own: an icon given by name would be fetched from another host.
IMAGES = Path(__file__).parent / "images"
FIRST_PAGE = "views/rank_profile.py"
RETRY_EVERY = 2.0  # seconds; a store that was killed is back after about 5


def main() -> None:
    """Draw the navigation and the page that the address names, or why it cannot be drawn."""
    st.set_page_config(
        page_title="Rankscope",
        page_icon=str(IMAGES / "icon.svg"),
        layout="wide",
        initial_sidebar_state=240,
    )
    st.html(Path(__file__).with_name("page.css"))
    st.logo(str(IMAGES / "logo.svg"), size="large", icon_image=str(IMAGES / "icon.svg"))
    page = st.navigation([
        st.Page(_first, title="Rankscope", default=True, visibility="hidden"),
        st.Page("views/models.py", title="Models", icon=":material/deployed_code:"),
        st.Page(FIRST_PAGE, title="Rank profile", icon=":material/grid_view:"),
        st.Page("views/rank_tradeoffs.py", title="Rank trade-offs", icon=":material/tune:"),
        st.Page("views/analyses.py", title="Analyses", icon=":material/query_stats:"),
        st.Page("views/compression.py", title="Compression", icon=":material/compress:"),
        st.Page("views/compare.py", title="Compare", icon=":material/compare_arrows:"),
        st.Page("views/reports.py", title="Reports", icon=":material/description:"),
        st.Page("views/jobs.py", title="Jobs", icon=":material/list_alt:"),
    ])  # fmt: skip
    permalink.begin(page.url_path)
    try:
        _sidebar(connection.client())
        page.run()
    except Unreachable as error:
        _retry(str(error))
    except JobError as error:
        states.failed(str(error))
    except Exception:
        logging.getLogger("rankscope").exception("the page %s could not be drawn", page.title)
        states.failed("This page could not be drawn. The server's log says why; reload to retry.")
    permalink.finish()


def _first() -> None:
    """Go on to the rank profile, so that each page has an address of its own."""
    st.switch_page(FIRST_PAGE, query_params=st.query_params.to_dict())


def _sidebar(client: Any) -> None:
    """Say under the navigation what works here and how much is stored."""
    now = client.cluster()
    with st.sidebar:
        for line in _cluster_words(now, can_run=client.can_run):
            st.caption(line)
        st.caption(f"Store · {quantities.size(now['store_bytes'])}")


def _cluster_words(now: dict[str, Any], *, can_run: bool) -> list[str]:
    if not can_run:
        return ["Browse only", "jobs cannot be started here"]
    running = now.get("running", 0)
    words = [f"{now['cores']} cores", f"{running} running" if running else "idle"]
    if now.get("gpus"):
        words.insert(1, f"{now['gpus']} GPU")
    return [f"Ray {now['mode']}", " · ".join(words)]


def _retry(sentence: str) -> None:
    """Say that the store is away and ask again until it answers, then draw the page anew."""
    draws = itertools.count()

    @st.fragment(run_every=RETRY_EVERY)
    def wait() -> None:
        st.warning(f"{sentence} Trying again every 2 s.", icon=":material/sync_problem:")
        st.button("Try now")  # any click draws this again
        if next(draws) == 0:  # it has just failed: asking at once would only spin
            return
        with contextlib.suppress(JobError):
            connection.client().cluster()
            st.rerun()

    wait()


main()
