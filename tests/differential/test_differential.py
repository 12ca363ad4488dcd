"""Random programs give the same on Pullback and on PyTorch, where that is installed.

`python tests/differential 1000 --seed 1 --shrink` draws others.
"""

import hypothesis.strategies as st
import pytest
from both import difference, libraries
from hypothesis import given, settings
from library import ON_TORCH

pytest.importorskip("torch", reason="PyTorch is what Pullback is compared with")
pytestmark = pytest.mark.skipif(ON_TORCH, reason="PyTorch beside itself")

CHOICES = st.lists(st.integers(0, (1 << 16) - 1), min_size=20, max_size=300)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(CHOICES, st.integers(1, 6))
def test_programs_agree(numbers, steps):
    assert difference(numbers, steps, *libraries()) is None
