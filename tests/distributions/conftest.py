"""The fixture that tests of numbers share."""

import pytest
from library import torch


@pytest.fixture
def doubles():
    """New tensors are float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
