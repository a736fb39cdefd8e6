"""The bundled sample: a small language model that this project trained itself, and its adapter.

Import-light: `corpus` needs the standard library alone; `recipe`, `adapter` and
`evaluate` need torch and are imported by name.
"""

from pathlib import Path

from analysis.sample.corpus import differences, manifest_hash, text, topics

MODEL = Path(__file__).parent / "model"
ADAPTER = Path(__file__).parent / "adapter"

__all__ = ["ADAPTER", "MODEL", "differences", "manifest_hash", "text", "topics"]
