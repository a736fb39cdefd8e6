"""What all tests share."""

import pytest

# Before any test module imports it: the suite runs on the plain store and through Ray's actor.
pytest.register_assert_rewrite("tests.store.contract")
