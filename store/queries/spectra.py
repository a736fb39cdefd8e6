"""Stored singular values, and what a query derives from them.

A spectrum is s_1 >= ... >= s_n >= 0 under its matrix key; indices count from 1. Keys that are not
stored have no rows in the answers; the others come in the order asked for.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from store import arrow
from store.connection import Cursor

TIE = 1e-12  # of the total energy: what rounding the sums may move
WANTED = """(
    select matrix_key as key, s, len(s) as n, list_position($keys::varchar[], matrix_key) as place
    from spectrum where matrix_key in (select unnest($keys::varchar[])))"""


def spectra(cursor: Cursor, keys: Sequence[str]) -> pa.Table:
    """Return whole spectra: key, rows, cols, noise_floor, effective_dtype, s."""
    return arrow.select(
        cursor,
        """select matrix_key as key, * exclude (matrix_key, s), s from spectrum
        where matrix_key in (select unnest($keys::varchar[]))
        order by list_position($keys::varchar[], matrix_key)""",
        keys=list(keys),
    )


def known_spectra(cursor: Cursor, keys: Sequence[str]) -> pa.Table:
    """Return which of the keys have a spectrum (key), reading none of the values."""
    return arrow.select(
        cursor,
        """select matrix_key as key from spectrum
        where matrix_key in (select unnest($keys::varchar[]))""",
        keys=list(keys),
    )


def decays(cursor: Cursor, keys: Sequence[str], points: int = 256) -> pa.Table:
    """Return at most `points` values of each spectrum (key, index, value), exact, log-spaced.

    The indices are round(n^(j / (points - 1))) for j = 0, ..., points - 1: the first is 1 and the
    last n. A spectrum of at most `points` values comes whole.
    """
    _expect_points(points)
    return arrow.select(
        cursor,
        f"""select key, unnest(picked) as "index", unnest(list_select(s, picked)) as value
        from (
            select *, case when n <= $points then range(1, n + 1) else
                list_sort(list_distinct(list_transform(range($points),
                    lambda j: round(pow(n, j / ($points - 1)))::bigint))) end as picked
            from {WANTED})
        order by place, "index" """,
        keys=list(keys),
        points=points,
    )


def sparks(cursor: Cursor, keys: Sequence[str], points: int = 24) -> pa.Table:
    """Return at most `points` values of each spectrum as a list, evenly spaced, both ends kept."""
    _expect_points(points)
    return arrow.select(
        cursor,
        f"""select key, case when n <= $points then s else
                list_select(s, list_transform(range($points),
                    lambda j: 1 + round(j * (n - 1) / ($points - 1))::bigint)) end as "values"
        from {WANTED} order by place""",
        keys=list(keys),
        points=points,
    )


def energy_ranks(cursor: Cursor, keys: Sequence[str], tau: float) -> pa.Table:
    """Return the smallest k with s_1^2 + ... + s_k^2 >= tau * (s_1^2 + ... + s_n^2) (key, k).

    Sums within 1e-12 of the threshold have reached it, as in the column k90 and its kin. An
    all-zero spectrum has k = 0. Raises ValueError unless 0 < tau <= 1.
    """
    if not 0 < tau <= 1:
        raise ValueError(f"expected 0 < tau <= 1, got {tau!r}")
    found = spectra(cursor, keys)
    ranks = [_energy_rank(s.values.to_numpy(), tau) for s in found.column("s")]
    return pa.table({"key": found.column("key"), "k": pa.array(ranks, pa.int64())})


def _energy_rank(s: npt.NDArray[np.float64], tau: float) -> int:
    if not s[0] > 0:
        return 0
    # Not in SQL, where running sums over a large model take 20 times as long. Values over s_1
    # neither overflow nor vanish when squared.
    held = np.cumsum(np.square(s / s[0]))
    return int(np.searchsorted(held, (tau - TIE) * held[-1])) + 1


def _expect_points(points: int) -> None:
    if points < 2:
        raise ValueError(f"expected at least 2 points, got {points}")
