"""no_grad, enable_grad, set_grad_enabled, inference_mode: as contexts, decorators, per thread."""

import threading

import pytest
from library import check, leaf, torch


def test_no_grad_as_context_and_decorator():
    x = leaf(2.0)

    @torch.no_grad()
    def decorated():
        """Documented."""
        return x * 2

    @torch.no_grad
    def bare():
        return x * 2

    with torch.no_grad():
        assert not torch.is_grad_enabled()
        assert not (x * 2).requires_grad
        with torch.enable_grad():
            assert (x * 2).requires_grad
        assert leaf(1.0).requires_grad
    assert not decorated().requires_grad and not bare().requires_grad
    assert (decorated.__name__, decorated.__doc__) == ("decorated", "Documented.")
    assert torch.is_grad_enabled()


def test_modes_are_restored_by_exceptions():
    with pytest.raises(KeyError), torch.no_grad():
        raise KeyError
    assert torch.is_grad_enabled()
    mode = torch.no_grad()
    for _ in range(2):
        with mode:
            assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("inner", [True, False])
def test_set_grad_enabled(inner):
    x = leaf(2.0)
    with torch.set_grad_enabled(inner):
        assert torch.is_grad_enabled() is inner
        assert (x * 2).requires_grad is inner
    torch.set_grad_enabled(False)
    assert not (x * 2).requires_grad
    torch.set_grad_enabled(True)

    @torch.set_grad_enabled(inner)
    def decorated():
        return (x * 2).requires_grad

    assert torch.is_grad_enabled() and decorated() is inner


def test_decorated_generators_keep_the_mode_only_while_they_run():
    x = leaf(2.0)

    @torch.no_grad()
    def generate():
        try:
            received = yield x * 2
            yield received
        except ValueError:
            yield torch.is_grad_enabled()

    steps = generate()
    assert not next(steps).requires_grad
    assert torch.is_grad_enabled() and (x * 2).requires_grad
    assert steps.send("sent") == "sent"
    assert steps.throw(ValueError()) is False
    assert list(steps) == []


def test_inference_mode():
    x = leaf(2.0)
    with torch.inference_mode():
        assert torch.is_inference_mode_enabled() and not torch.is_grad_enabled()
        y = x * 2
        assert y.is_inference() and not y.requires_grad
        y.add_(1)
        with torch.inference_mode(False):
            assert (x * 2).requires_grad
    assert y.is_inference() and not x.is_inference()
    assert not (y * 2).is_inference()
    check(y.clone(), 5.0)

    @torch.inference_mode()
    def decorated():
        return x * 2

    assert decorated().is_inference()
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        x * y
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside"):
        y.add_(1)
    with pytest.raises(RuntimeError, match="Inference tensors do not track version counter"):
        _ = y._version


def test_backward_runs_outside_the_callers_no_grad():
    x = leaf(2.0)
    y = x * x
    with torch.no_grad():
        y.backward()
    check(x.grad, 4.0)


def test_grad_mode_belongs_to_the_thread():
    seen = {}

    def work():
        seen["fresh"] = torch.is_grad_enabled()
        with torch.no_grad():
            seen["inside"] = torch.is_grad_enabled()

    with torch.no_grad():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert not torch.is_grad_enabled()
    assert seen == {"fresh": True, "inside": False}


def test_backward_in_several_threads():
    leaves = [leaf(float(k)) for k in range(8)]

    def work(x):
        for _ in range(50):
            (x * x).backward()

    threads = [threading.Thread(target=work, args=(x,)) for x in leaves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, x in enumerate(leaves):
        check(x.grad, 100.0 * k)
