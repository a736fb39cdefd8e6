"""What the tests of compression share."""

import pytest
import torch


@pytest.fixture
def one_thread():
    """Many products of small matrices are slower on several threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
