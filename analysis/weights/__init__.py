"""Opening models: sources, tensor names, labelled matrices, content keys.

A header is read without torch, so the names are resolved on first use: `analysis.weights.header`
stays importable where torch must not be.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.weights.header import BadModel as BadModel
    from analysis.weights.keys import files_of as files_of
    from analysis.weights.keys import fingerprint as fingerprint
    from analysis.weights.keys import matrix_key as matrix_key
    from analysis.weights.opening import open_model as open_model
    from analysis.weights.reading import load as load
    from analysis.weights.refs import MatrixRef as MatrixRef
    from analysis.weights.refs import TensorInfo as TensorInfo
    from analysis.weights.source import Source as Source

_HOMES = {
    "BadModel": "header",
    "MatrixRef": "refs",
    "Source": "source",
    "TensorInfo": "refs",
    "files_of": "keys",
    "fingerprint": "keys",
    "load": "reading",
    "matrix_key": "keys",
    "open_model": "opening",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
