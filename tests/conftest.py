"""What holds for every test: a seed, each warning told, and no global setting left changed."""

import pytest
from library import torch


@pytest.fixture(autouse=True)
def settings():
    """Seed, and warn each time; afterwards, see that the modes are back where they were."""
    torch.manual_seed(0)
    torch.set_warn_always(True)
    yield
    assert torch.is_grad_enabled(), "the test left grad mode off"
    assert torch.get_default_dtype() is torch.float32, "the test left another default dtype"
    assert not torch.is_inference_mode_enabled(), "the test left inference mode on"
    assert not torch.is_anomaly_enabled(), "the test left anomaly mode on"
