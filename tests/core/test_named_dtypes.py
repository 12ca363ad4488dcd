"""Dtypes that are names alone, and what they say; alike on PyTorch."""

import pickle

import pytest
from library import pullback_only, torch

SMALL = [f"{sign}int{bits}" for sign in ("u", "") for bits in range(1, 8)]
BITS = ["bits1x8", "bits2x4", "bits4x2", "bits8", "bits16"]
QUANTISED = ["qint8", "qint32", "quint8", "quint2x4", "quint4x2"]


@pytest.mark.parametrize("name", [*SMALL, *BITS, *QUANTISED, "float4_e2m1fn_x2"])
def test_what_they_say(name):
    kind = getattr(torch, name)
    assert isinstance(kind, torch.dtype)
    assert repr(kind) == f"torch.{name}"
    assert kind.itemsize == {"bits16": 2, "qint32": 4}.get(name, 1)
    assert kind.is_floating_point is name.startswith("float")
    assert not kind.is_complex
    assert pickle.loads(pickle.dumps(kind)) is kind
    assert kind == getattr(torch, name)
    assert kind != torch.int8
    if name not in QUANTISED:
        with pytest.raises(TypeError, match=r"torch.iinfo\(\) requires an integer input type"):
            torch.iinfo(kind)


@pytest.mark.parametrize("name", SMALL)
def test_small_integers_have_signs(name):
    assert getattr(torch, name).is_signed is (name[0] == "i")


@pullback_only("there are no tensors of these dtypes")
@pytest.mark.parametrize("name", ["int4", "uint2", "bits8", "quint8", "float4_e2m1fn_x2"])
def test_there_are_no_tensors_of_them(name):
    kind = getattr(torch, name)
    for function in (
        lambda: torch.empty(2, dtype=kind),
        lambda: torch.zeros(2, dtype=kind),
        lambda: torch.ones(2, dtype=kind),
        lambda: torch.tensor([1.0], dtype=kind),
        lambda: torch.full((2,), 1.0, dtype=kind),
        lambda: torch.ones(2).to(kind),
        lambda: torch.zeros_like(torch.ones(2), dtype=kind),
        lambda: torch.ones(2).sum(dtype=kind),
        lambda: torch.rand(2, dtype=kind),
        lambda: torch.arange(2, dtype=kind),
        lambda: torch.empty(4, dtype=torch.uint8).view(kind),
    ):
        with pytest.raises((NotImplementedError, RuntimeError)):
            function()
    with pytest.raises(RuntimeError, match="is unsupported"):
        torch.promote_types(kind, torch.float32)
