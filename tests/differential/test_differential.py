"""Random programs give the same on Pullback and on PyTorch, where that is installed.

`python tests/differential 1000 --seed 1 --shrink` draws others.
"""

import pytest
from both import difference, drawn, libraries
from library import ON_TORCH

pytest.importorskip("torch", reason="PyTorch is what Pullback is compared with")
pytestmark = pytest.mark.skipif(ON_TORCH, reason="PyTorch beside itself")


@pytest.mark.parametrize("seed", range(400))
def test_programs_agree(seed):
    assert difference(drawn(seed), 8, *libraries()) is None
