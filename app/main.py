"""The server: Ray, the store's owner and the job manager live as long as it does.

    streamlit run app/main.py [-- --no-ray]

`--no-ray` (or RANKSCOPE_NO_RAY=1) serves what is stored and starts no job. Ray ties its daemons to
the thread that started it, so they start here, on the main thread, and not on a page's.
"""

import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:  # `streamlit run app/main.py` puts only app/ on the path
    sys.path.insert(0, str(ROOT))

from app import first_light  # noqa: E402  the line above makes them importable
from jobs import home  # noqa: E402
from jobs.client import Client  # noqa: E402
from jobs.errors import JobError  # noqa: E402
from jobs.server import serving  # noqa: E402

NO_RAY = "RANKSCOPE_NO_RAY"


def browse_only() -> bool:
    """Return whether this server was asked to start no job."""
    return "--no-ray" in sys.argv or os.environ.get(NO_RAY, "") not in ("", "0")


@contextlib.asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[dict[str, object]]:
    """Own the home while the server runs; profile the sample when nobody has."""
    with contextlib.ExitStack() as held:
        try:
            client = held.enter_context(serving(home.from_environment(), browse_only=browse_only()))
        except JobError as error:
            print(f"Rankscope cannot start: {error}", file=sys.stderr, flush=True)
            # The web server would answer any exception with its traceback; nothing is left open.
            os._exit(error.exit_code)
        _profile_sample(client)
        print(f"Rankscope is at http://{_address()}:{st.get_option('server.port')}", flush=True)
        yield {}


def _profile_sample(client: Client) -> None:
    """Ask for the sample's analyses; what is wrong with it is said and keeps no page away."""
    if not client.can_run:
        return
    try:
        first_light.profile_sample(client)
    except JobError as error:
        print(f"The sample cannot be profiled: {error}", file=sys.stderr, flush=True)


def _address() -> str:
    return str(st.get_option("server.address") or "127.0.0.1")


def unexpected(error: Exception) -> None:
    """Log what no page caught; the page says only that it failed."""
    logging.getLogger("rankscope").error("a page failed", exc_info=error)


app = st.App("page.py", lifespan=lifespan, on_script_error=unexpected)
