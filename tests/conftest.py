"""What holds for every test: a seed, each warning told, and no global setting left changed.

`pytest -m quick` runs a part of all in some seconds: of each test its cases spread over the table, no more
than QUICK, and none of what is marked slow.
"""

import itertools
from pathlib import Path

import pytest
from library import ON_TORCH, torch

SHORTFALLS = Path(__file__).with_name("shortfalls.txt")
QUICK = 2  # cases of a test


def pytest_collection_modifyitems(items):
    """Marks what is quick; and what shortfalls.txt lists, `test id  reason` a line, as expected to fail."""
    for _, cases in itertools.groupby(items, key=lambda item: item.nodeid.partition("[")[0]):
        cases = [item for item in cases if item.get_closest_marker("slow") is None]
        for item in cases[:: -(-len(cases) // QUICK) or 1]:
            item.add_marker(pytest.mark.quick)
    if ON_TORCH:
        for item in items:  # its forward mode compiles formulas at the first use
            item.add_marker(pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated"))
        return
    lines = [line for line in SHORTFALLS.read_text().splitlines() if line and not line.startswith("#")]
    known = dict(line.split("  ", 1) for line in lines)
    for item in items:
        reason = known.get(item.nodeid.removeprefix("tests/"))
        if reason:
            item.add_marker(pytest.mark.xfail(reason=reason))


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
