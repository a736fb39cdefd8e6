"""What the store's tests share."""

import pytest

from store import Store


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def fresh_store(home):
    with Store(home) as store:
        yield store
