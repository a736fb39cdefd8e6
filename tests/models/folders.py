"""The real models that the tests are given: folders under RANKSCOPE_TEST_MODELS."""

import os
from pathlib import Path

import pytest

GIVEN = os.environ.get("RANKSCOPE_TEST_MODELS", "")
FOLDER = Path(GIVEN or "none")


def needs(*names):
    """Return the mark of a test that is skipped where one of these folders is not there."""
    missing = [name for name in names if not (FOLDER / name).is_dir()]
    reason = f"RANKSCOPE_TEST_MODELS has no {', '.join(missing)}"
    return pytest.mark.skipif(bool(missing), reason=reason)


def given(*, adapters):
    """Return the folders with weights in or under them, adapters or the others."""
    if not GIVEN:
        skip = pytest.mark.skip(reason="RANKSCOPE_TEST_MODELS names no folder of models")
        return [pytest.param(None, marks=skip, id="none")]
    folders = [path for path in sorted(FOLDER.iterdir()) if path.is_dir()]
    models = [path for path in folders if any(path.rglob("*.safetensors"))]
    models = [path for path in models if (path / "adapter_config.json").is_file() == adapters]
    return [pytest.param(path, id=path.name) for path in models]
