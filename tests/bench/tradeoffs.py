"""How long a slider move of the trade-offs takes at 224 layers of 4,096 singular values.

Each round, interleaved: one size never asked for before, answered from what is sorted already; and
the same by sorting and walking anew, direction by direction, as one would write it first (greedy on
the directions of two factors, which the fast rule must lose no more than). Then what a page needs
beside the move: reading, sorting, every curve. The same with measured losses in place of spectra,
of which one falls at every rank and one does not, each with directions over 2,048 tokens. Nothing
is asserted but that.
"""

import heapq
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))
from analysis.compress.allocation.curves import Layer
from analysis.compress.allocation.together import Directions, levels
from jobs.calibrated import COLUMNS, Calibrated
from jobs.linear_layers import LinearLayers
from jobs.tradeoffs import ALLOCATIONS, FORMS, Tradeoffs

LAYERS, VALUES, ROUNDS = 224, 4096, 7
TOKENS = 2048


def main() -> None:
    """Print milliseconds."""
    spectra = made()
    loaded = Tradeoffs(stored(spectra))
    asked(loaded, "relative")
    against_naive(loaded, spectra)
    for words, rough in (("falling", 0.0), ("not falling", 0.3)):
        began = time.perf_counter()
        measured = Tradeoffs(stored(spectra), calibrated(spectra, rough))
        print(f"measured losses, {words}: made in {1000 * (time.perf_counter() - began):.0f} ms")
        asked(measured, "expected")


def asked(loaded, objective) -> None:
    """Print how long the first answer, the later ones, and the whole page take."""
    for form in FORMS:
        for allocation in ALLOCATIONS:
            first = timed(lambda a=allocation, f=form: loaded.at(0.5, a, f, objective))
            moves = [
                timed(lambda a=allocation, f=form, k=kept: loaded.at(k, a, f, objective))
                for kept in sizes()
            ]
            print(f"{form:18} {allocation:8} first {first:6.1f} ms, then {spread(moves)}")
        ours = timed(lambda f=form: loaded.compare(0.55, objective))
        curves = timed(lambda f=form: [loaded.curve(a, f, objective) for a in ALLOCATIONS])
        print(f"{form:18} all allocations {ours:.0f} ms, curves {curves:.0f} ms")
        if loaded.has_noise:
            noise = timed(lambda f=form: loaded.curve("greedy", f, objective, noise=True))
            print(f"{form:18} noise {noise:.0f} ms")


def calibrated(spectra, rough) -> Calibrated:
    """Return losses of the spectra's tails, by column of another weight; `rough` moves each."""
    random = np.random.default_rng(1)
    rows, directions = {}, []
    for i, s in enumerate(spectra):
        tail = np.append(np.cumsum(np.square(s)[::-1])[::-1], 0.0)
        moved = tail * (1 + rough * random.random(len(tail))) if rough else tail
        rows[f"blocks.{i // 7}.{i % 7}"] = {
            "rows": VALUES, "cols": VALUES, "tokens": 1,
            **{name: moved * random.uniform(0.5, 2) for name in COLUMNS},
        }  # fmt: skip
        ranks = levels(rows[f"blocks.{i // 7}.{i % 7}"]["expected"])
        unit = random.standard_normal((len(ranks), TOKENS)).astype(np.float16)
        directions.append(Directions("tokens", ranks, unit))
    return Calibrated("two_sided_svd", rows, (), tuple(directions))


def against_naive(loaded, spectra) -> None:
    """Print both ways of one move, a round of each after the other."""
    fast, slow = [], []
    for kept in sizes():
        began = time.perf_counter()
        point = loaded.at(kept, "greedy", "two_factor", "relative")
        fast.append(1000 * (time.perf_counter() - began))
        began = time.perf_counter()
        lost = naive(spectra, int(kept * point.of_parameters))
        slow.append(1000 * (time.perf_counter() - began))
        if point.error**2 > lost + 1e-12:
            raise SystemExit(f"at {kept} greedy loses {point.error**2}, single steps {lost}")
    ratio = statistics.median(slow) / statistics.median(fast)
    print(f"one move: {spread(fast)}; direction by direction {spread(slow)}: {ratio:.0f} times")


def naive(spectra, budget) -> float:
    """Return the mean share lost when directions of two factors are bought one by one."""
    gains = [np.square(s) / np.square(s).sum() for s in spectra]
    heap = [(-gain[0], i) for i, gain in enumerate(gains)]
    heapq.heapify(heap)
    rank, most = [0] * len(spectra), VALUES // 2 - 1
    while heap and budget >= 2 * VALUES:
        _, i = heapq.heappop(heap)
        budget -= 2 * VALUES
        rank[i] += 1
        if rank[i] < most:
            heapq.heappush(heap, (-gains[i][rank[i]], i))
    return float(np.mean([gain[k:].sum() for gain, k in zip(gains, rank, strict=True)]))


def made() -> list[np.ndarray]:
    """Return spectra of Gaussian noise with a power-law head, another for each layer."""
    random = np.random.default_rng(0)
    noise = np.linalg.svd(random.standard_normal((1024, 1024)) / 32, compute_uv=False)
    index = np.arange(1, VALUES + 1)
    bulk = np.interp(np.linspace(0, 1023, VALUES), np.arange(1024), noise)
    jitter = 1 + 1e-4 * random.standard_normal((LAYERS, VALUES))
    head = random.uniform(0, 4, (LAYERS, 1)) * index**-0.5
    return list(-np.sort(-(bulk + head) * jitter, axis=1))


def stored(spectra) -> LinearLayers:
    """Return the layers as the store gives them, with noise of their shape."""
    names = [f"blocks.{i // 7}.{i % 7}" for i in range(LAYERS)]
    table = pd.DataFrame({
        "layer": names, "block": np.arange(LAYERS) // 7, "module": "q", "view": "whole",
        "kind": "linear", "rows": VALUES, "cols": VALUES, "itemsize": 2,
    })  # fmt: skip
    layers = [Layer(VALUES, VALUES, values) for values in spectra]
    noise = Layer(VALUES, VALUES, 2 * np.sqrt(1 - (np.arange(VALUES) + 0.5) / VALUES))
    model = {"parameters": LAYERS * VALUES**2, "bytes": 2 * LAYERS * VALUES**2}
    return LinearLayers(
        model, table, dict(zip(names, layers, strict=True)), dict.fromkeys(names, noise)
    )


def sizes() -> list[float]:
    """Return sizes that no curve was drawn at."""
    return [round(kept, 4) for kept in np.linspace(0.1037, 0.9737, ROUNDS)]


def timed(action) -> float:
    """Return the milliseconds of one call."""
    began = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - began)


def spread(times) -> str:
    """Return the median and the longest."""
    return f"{statistics.median(times):.1f} ms (longest {max(times):.1f})"


if __name__ == "__main__":
    main()
