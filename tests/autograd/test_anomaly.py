"""Anomaly mode: NaN in a backward pass is an error, told with the line of the forward pass.

The traceback of the forward call comes as a warning before the error, as in PyTorch.
"""

import threading

import pytest
from library import Broken, Square, check, leaf, torch

ENABLED = "Anomaly Detection has been enabled. This mode will increase the runtime"
NAN = "returned nan values in its 0th output"


def anomaly(**options):
    """detect_anomaly, its own warning expected."""
    with pytest.warns(UserWarning, match=ENABLED):
        return torch.autograd.detect_anomaly(**options)


class MakesNan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * float("nan")


def test_nan_is_found_and_the_forward_line_is_shown():
    with anomaly():
        x = leaf([0.0, 1.0])
        y = (x - 1).sqrt() * 2  # the guilty line
        with (
            pytest.warns(UserWarning, match="Error detected in SqrtBackward0") as told,
            pytest.raises(RuntimeError, match=f"Function 'SqrtBackward0' {NAN}"),
        ):
            y.sum().backward()
    (message,) = [str(one.message) for one in told if "Error detected" in str(one.message)]
    assert "Traceback of forward call that caused the error:" in message
    assert "the guilty line" in message and "test_anomaly.py" in message


def test_without_anomaly_mode_nan_passes():
    x = leaf([0.0, 1.0])
    ((x - 1).sqrt() * 2).sum().backward()
    assert torch.isnan(x.grad[0]).item()


def test_nodes_made_outside_say_so():
    y = (leaf([0.0, 1.0]) - 1).sqrt() * 2
    with (
        anomaly(),
        pytest.warns(UserWarning, match="No forward pass information available. Enable detect"),
        pytest.raises(RuntimeError, match=NAN),
    ):
        y.sum().backward()


def test_check_nan_may_be_left_off():
    with anomaly(check_nan=False):
        assert torch.is_anomaly_enabled()
        assert not torch.is_anomaly_check_nan_enabled()
        x = leaf([0.0, 1.0])
        ((x - 1).sqrt() * 2).sum().backward()
        assert torch.isnan(x.grad[0]).item()
        with (
            pytest.warns(UserWarning, match="Error detected in BrokenBackward"),
            pytest.raises(KeyError, match="broken"),
        ):
            Broken.apply(x).sum().backward()


def test_errors_of_any_node_are_told():
    with anomaly():
        x = leaf(1.0)
        y = Broken.apply(x)  # the broken line
        with (
            pytest.warns(UserWarning, match="(?s)Error detected in BrokenBackward.*broken line"),
            pytest.raises(KeyError, match="broken"),
        ):
            y.backward()


def test_nan_from_a_custom_function():
    with anomaly():
        y = MakesNan.apply(leaf(1.0))
        with (
            pytest.warns(UserWarning, match="Error detected in MakesNanBackward"),
            pytest.raises(RuntimeError, match=f"Function 'MakesNanBackward' {NAN}"),
        ):
            y.backward()


def test_changed_saved_tensor_hint_changes():
    with anomaly():
        x = leaf([1.0, 2.0])
        y = x.exp()
        y.add_(1)
        with (
            pytest.warns(UserWarning, match="Error detected in ExpBackward0"),
            pytest.raises(RuntimeError, match="Hint: the backtrace further above shows"),
        ):
            y.sum().backward()


def test_errors_in_double_backward_show_the_parent():
    class Late(Square):
        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return MakesNan.apply(g * x)  # the first backward

    with anomaly(check_nan=True):
        x = leaf(3.0)
        y = Late.apply(x)  # the forward
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        with (
            pytest.warns(UserWarning) as told,
            pytest.raises(RuntimeError, match="Function 'MakesNanBackward' returned nan"),
        ):
            g.backward()
    messages = [str(one.message) for one in told]
    assert any("Error detected in MakesNanBackward" in one for one in messages)
    assert any("Previous calculation was induced by LateBackward" in one for one in messages)
    assert any("the forward" in one for one in messages)


def test_the_mode_is_restored_and_set():
    assert not torch.is_anomaly_enabled()
    with anomaly():
        assert torch.is_anomaly_enabled() and torch.is_anomaly_check_nan_enabled()
    assert not torch.is_anomaly_enabled()
    with torch.autograd.set_detect_anomaly(True):
        assert torch.is_anomaly_enabled()
        with torch.autograd.set_detect_anomaly(False):
            assert not torch.is_anomaly_enabled()
        assert torch.is_anomaly_enabled()
    assert not torch.is_anomaly_enabled()
    torch.autograd.set_detect_anomaly(True, check_nan=False)
    assert torch.is_anomaly_enabled() and not torch.is_anomaly_check_nan_enabled()
    torch.autograd.set_detect_anomaly(False)


def test_gradients_are_the_same_in_anomaly_mode():
    def gradient():
        x = leaf([0.5, 1.5])
        ((x * x).tanh() / x).sum().backward()
        return x.grad.tolist()

    plain = gradient()
    with anomaly():
        assert gradient() == plain


def test_anomaly_mode_holds_for_other_threads():
    seen = []
    with anomaly():
        thread = threading.Thread(target=lambda: seen.append(torch.is_anomaly_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_infinite_gradients_are_no_anomaly():
    with anomaly():
        x = leaf(0.0)
        x.sqrt().backward()
        check(x.grad, float("inf"))
