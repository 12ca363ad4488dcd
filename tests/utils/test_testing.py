"""`torch.testing`: what assert_close says, and what make_tensor draws."""

import pytest
from library import torch

close = torch.testing.assert_close
T = torch.tensor


def test_equal_values_pass():
    close(T([1.0, 2.0]), T([1.0, 2.0 + 1e-6]))
    close(T([1.0]), T([1.0], dtype=torch.float64), check_dtype=False)
    close(T([float("nan")]), T([float("nan")]), equal_nan=True)
    close(T([1.0]), T([1.05]), rtol=0.0, atol=0.1)
    close({"a": [T(1.0), None, True, 3, 2.5]}, {"a": (T(1.0), None, True, 3, 2.5)})
    close(torch.empty(2, device="meta"), torch.empty(2, device="meta"))
    close(torch.empty(0), torch.empty(0))
    close(1, 1.0, check_dtype=False)


def tensors(wrong, absolute, relative, allowed=("1e-05", "1.3e-06"), suffix=""):
    """The message of tensors of which some elements are not close."""
    return (
        f"Tensor-likes are not close!\n\nMismatched elements: {wrong}\n"
        f"Greatest absolute difference: {absolute} (up to {allowed[0]} allowed)\n"
        f"Greatest relative difference: {relative} (up to {allowed[1]} allowed){suffix}"
    )


MESSAGES = {
    "one": (
        lambda: close(T([1.0, 2.0]), T([1.0, 3.0])),
        tensors("1 / 2 (50.0%)", "1.0 at index (1,)", "0.3333333432674408 at index (1,)"),
    ),
    "two dims": (
        lambda: close(T([[1.0, 2.0], [3.0, 4.0]]), T([[1.0, 3.0], [3.0, 7.0]])),
        tensors("2 / 4 (50.0%)", "3.0 at index (1, 1)", "0.4285714328289032 at index (1, 1)"),
    ),
    "0-dim": (
        lambda: close(T(1.0), T(2.0)),
        "Scalars are not close!\n\nExpected 2.0 but got 1.0.\n"
        "Absolute difference: 1.0 (up to 1e-05 allowed)\n"
        "Relative difference: 0.5 (up to 1.3e-06 allowed)",
    ),
    "dtype": (
        lambda: close(T([1.0]), T([1.0], dtype=torch.float64)),
        "The values for attribute 'dtype' do not match: torch.float32 != torch.float64.",
    ),
    "shape": (
        lambda: close(T([1.0]), T([1.0, 2.0])),
        "The values for attribute 'shape' do not match: torch.Size([1]) != torch.Size([2]).",
    ),
    "device": (
        lambda: close(T([1.0]), torch.empty(1, device="meta")),
        "The values for attribute 'device' do not match: cpu != meta.",
    ),
    "stride": (
        lambda: close(torch.ones(2, 3), torch.ones(3, 2).t(), check_stride=True),
        "The values for attribute 'stride()' do not match: (3, 1) != (1, 2).",
    ),
    "integers": (
        lambda: close(T([1, 2, 3]), T([1, 2, 4])),
        "Tensor-likes are not equal!\n\nMismatched elements: 1 / 3 (33.3%)\n"
        "Greatest absolute difference: 1 at index (2,)\nGreatest relative difference: 0.25 at index (2,)",
    ),
    "nan": (
        lambda: close(T([float("nan")]), T([float("nan")])),
        tensors("1 / 1 (100.0%)", "nan at index (0,)", "nan at index (0,)"),
    ),
    "infinite": (
        lambda: close(T([float("inf"), 1.0]), T([float("inf"), 2.0])),
        tensors("1 / 2 (50.0%)", "1.0 at index (1,)", "0.5 at index (1,)"),
    ),
    "half": (
        lambda: close(torch.ones(2, dtype=torch.float16), torch.ones(2, dtype=torch.float16) * 1.01),
        tensors(
            "2 / 2 (100.0%)",
            "0.009765625 at index (0,)",
            "0.009674072265625 at index (0,)",
            ("1e-05", "0.001"),
        ),
    ),
    "numbers": (
        lambda: close(1, 2),
        "Scalars are not equal!\n\nExpected 2 but got 1.\nAbsolute difference: 1\nRelative difference: 0.5",
    ),
    "types of numbers": (
        lambda: close(1, 1.0),
        "The (d)types do not match: <class 'int'> != <class 'float'>.",
    ),
    "booleans": (lambda: close(True, False), "Booleans mismatch: True is not False"),
    "None": (lambda: close(None, T(1.0)), "None mismatch: None is not 1.0"),
    "a list": (
        lambda: close([T([1.0]), T([2.0])], [T([1.0]), T([3.0])]),
        tensors(
            "1 / 1 (100.0%)",
            "1.0 at index (0,)",
            "0.3333333432674408 at index (0,)",
            suffix="\n\nThe failure occurred for item [1]",
        ),
    ),
    "lengths": (lambda: close([1], [1, 2]), "The length of the sequences mismatch: 1 != 2"),
    "keys": (
        lambda: close({"a": 1}, {"b": 1}),
        "The keys of the mappings do not match:\nMissing keys in the actual mapping: ['b']\n"
        "Additional keys in the actual mapping: ['a']",
    ),
    "deep": (
        lambda: close({"a": [1, {"c": T(2)}]}, {"a": [1, {"c": T(5)}]}),
        "Scalars are not equal!\n\nExpected 5 but got 2.\n"
        "Absolute difference: 3\nRelative difference: 0.6\n\n"
        "The failure occurred for item ['a'][1]['c']",
    ),
    "a message": (lambda: close(1, 2, msg="words"), "words"),
    "a made message": (
        lambda: close(True, False, msg=lambda m: f"<{m}>"),
        "<Booleans mismatch: True is not False>",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_what_is_said_of_a_difference(name):
    call, message = MESSAGES[name]
    with pytest.raises(AssertionError) as found:
        call()
    assert str(found.value) == message


def test_what_cannot_be_compared():
    with pytest.raises(TypeError, match="No comparison pair was able to handle inputs of type <class 'str'>"):
        close("a", "a")
    with pytest.raises(TypeError, match="No comparison pair"):
        close(T(1.0), 1.0)
    with pytest.raises(
        ValueError, match="Both 'rtol' and 'atol' must be either specified or omitted, but got no"
    ):
        close(1.0, 1.0, rtol=0.1)


def test_assert_allclose():
    with pytest.warns(FutureWarning, match="deprecated"):
        torch.testing.assert_allclose(T([1.0]), [1.00001])


DRAWS = {
    "float": ({"dtype": torch.float32}, lambda: torch.empty(5, 4).uniform_(-9, 9)),
    "double": ({"dtype": torch.float64}, lambda: torch.empty(5, 4, dtype=torch.float64).uniform_(-9, 9)),
    "limits": ({"dtype": torch.float32, "low": 0.5, "high": 2}, lambda: torch.empty(5, 4).uniform_(0.5, 2)),
    "long": ({"dtype": torch.int64}, lambda: torch.randint(-9, 10, (5, 4))),
    "byte": ({"dtype": torch.uint8}, lambda: torch.randint(0, 10, (5, 4), dtype=torch.uint8)),
    "bool": ({"dtype": torch.bool}, lambda: torch.randint(0, 2, (5, 4), dtype=torch.bool)),
    "whole limits": ({"dtype": torch.int64, "low": 0.5, "high": 4}, lambda: torch.randint(1, 4, (5, 4))),
    "complex": (
        {"dtype": torch.complex64},
        lambda: torch.view_as_complex(torch.empty(5, 4, 2).uniform_(-9, 9)),
    ),
    "gaps": (
        {"dtype": torch.float32, "noncontiguous": True},
        lambda: torch.empty(5, 8).uniform_(-9, 9)[:, 1::2],
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_make_tensor_draws_these_numbers(name):
    options, numbers = DRAWS[name]
    torch.manual_seed(3)
    made = torch.testing.make_tensor(5, 4, device="cpu", **options)
    torch.manual_seed(3)
    wanted = numbers()
    assert torch.equal(made, wanted) and made.dtype == wanted.dtype and made.stride() == wanted.stride()


def test_make_tensor_options():
    make = torch.testing.make_tensor
    assert make((2, 3), dtype=torch.float32, device="cpu", requires_grad=True).requires_grad
    assert make(500, dtype=torch.int64, device="cpu", exclude_zero=True).all()
    assert make(
        2, 3, 4, 5, dtype=torch.float32, device="cpu", memory_format=torch.channels_last
    ).is_contiguous(memory_format=torch.channels_last)
    for options, message in (
        ({"low": 5, "high": 1}, "`low` must be less than `high`, but got 5 >= 1"),
        ({"low": float("nan")}, "`low` and `high` cannot be NaN, but got low=nan and high=9"),
        ({"dtype": torch.bool, "low": 5, "high": 9}, r"\[5, 9\), but torch.bool only supports \[0, 2\)"),
        ({"dtype": torch.int64, "requires_grad": True}, "not supported for boolean and integral dtypes"),
    ):
        with pytest.raises(ValueError, match=message):
            make(5, **{"dtype": torch.float32, "device": "cpu", **options})
