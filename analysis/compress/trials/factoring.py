"""The stage that decomposes the matrices of one group by one method, for every size at once.

Tensors are kept under the first layer of what the method saw together, "{layer}|{name}", in
float32; errors at each rank are computed before that, in float64.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from analysis import weights
from analysis.compress.allocation.rank_curves import RankCurves, rank_curves
from analysis.compress.calibration import calibrate as calibration
from analysis.compress.calibration.files import layers_in
from analysis.compress.pieces import Heads, NonFiniteLayer, Piece, Statistics
from analysis.compress.registry import Method, find, parse
from analysis.compress.trials.stages import FACTORS, ROWS, STATISTICS, FactorRow
from analysis.registry import Report
from analysis.weights.refs import MatrixRef

BETWEEN = "|"


def method_of(full_name: str) -> tuple[Method, Any]:
    """Return a method and its `Params` from `name:key=value:...`. Raises AnalysisError."""
    name, *words = full_name.split(":")
    method = find(name)
    return method, parse(method, dict(word.split("=", 1) for word in words))


def factor_stage(
    refs: Sequence[MatrixRef], method_full_name: str, statistics: Path | None,
    heads: Heads | None, folder: Path, report: Report,
) -> Iterator[FactorRow]:  # fmt: skip
    """Yield a row per layer, and keep the tensors of all of them in `folder`.

    Raises NonFiniteLayer for a matrix with NaN or infinity.
    """
    method, params = method_of(method_full_name)
    known = {} if statistics is None else _known(statistics / STATISTICS, refs)
    # What the calibration did not find in the running network stays dense in every trial.
    chosen = refs if statistics is None else [r for r in refs if r.label.layer in known]
    pieces = [_piece(ref, known.get(ref.label.layer), heads) for ref in chosen]
    kept: dict[str, Tensor] = {}
    rows: list[FactorRow] = []
    seen = together(method, pieces)
    for done, group in enumerate(seen):
        report(done, len(seen), f"{method.title} of {group[0].layer}")
        tensors = method.function(group, params)
        rows += [_row(piece, tensors, method, method_full_name) for piece in group]
        kept |= {f"{group[0].layer}{BETWEEN}{name}": t for name, t in tensors.items()}
    _keep(folder, kept, rows)
    yield from rows


def together(method: Method, pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Return the pieces as a method sees them: all of a group, or one at a time."""
    return [list(pieces)] if method.scope == "block" else [[piece] for piece in pieces]


def read_tensors(folder: Path, first: str) -> dict[str, Tensor]:
    """Return the tensors of those pieces whose first layer is named."""
    lead = f"{first}{BETWEEN}"
    with safe_open(folder / FACTORS, "pt") as file:
        names = [name for name in file.keys() if name.startswith(lead)]  # noqa: SIM118
        return {name.removeprefix(lead): file.get_tensor(name) for name in names}


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a stage, with their lists as arrays."""
    rows = json.loads((folder / ROWS).read_text())
    return [
        {k: np.asarray(v, dtype=np.float64) if isinstance(v, list) else v for k, v in row.items()}
        for row in rows
    ]


def write_rows(folder: Path, rows: Sequence[Any]) -> None:
    """Keep rows in a folder but for their arrays, whole or not at all."""
    draft = folder / f".{ROWS}"
    listed = [{k: v for k, v in vars(row).items() if not isinstance(v, np.ndarray)} for row in rows]
    draft.write_text(json.dumps(listed, allow_nan=False))
    draft.replace(folder / ROWS)


def _known(path: Path, refs: Sequence[MatrixRef]) -> dict[str, Statistics]:
    listed = set(layers_in(path))
    return calibration.load(path, [r.label.layer for r in refs if r.label.layer in listed])


def _piece(ref: MatrixRef, known: Statistics | None, heads: Heads | None) -> Piece:
    rows = weights.load(ref)
    W = rows.rows(0, rows.shape[0]).to(torch.float64)
    if not W.isfinite().all():
        raise NonFiniteLayer(ref.label.layer, "its weight")
    return Piece(ref.label.layer, ref.label.module, ref.label.block, W, known, heads)


def _row(piece: Piece, tensors: Mapping[str, Tensor], method: Method, name: str) -> FactorRow:
    m, n = piece.W.shape
    found = None
    if method.sizes == "ranks":
        B, A = tensors[f"{piece.layer}.B"], tensors[f"{piece.layer}.A"]
        found = rank_curves(piece.W, B, A, piece.statistics)
    tokens = piece.statistics.tokens if piece.statistics else 0
    row = FactorRow(piece.layer, m, n, name, tokens, **_curves(found))
    if found is None or found.directions is None:
        return row
    z = found.directions
    return replace(
        row, sample=z.sample, levels=tuple(map(float, z.ranks)), directions=cast(Any, z.unit)
    )


def _curves(found: RankCurves | None) -> dict[str, Any]:
    known = {} if found is None else found.to_dict()
    names = ("plain", "whitened", "heldout", "expected", "first_order")
    return {name: tuple(known[name].tolist()) if name in known else () for name in names}


def _keep(folder: Path, kept: Mapping[str, Tensor], rows: Sequence[FactorRow]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{FACTORS}"
    single = {
        name: (t.to(torch.float32) if t.is_floating_point() else t).contiguous()
        for name, t in kept.items()
    }
    save_file(single, draft)
    draft.replace(folder / FACTORS)
    write_rows(folder, rows)
