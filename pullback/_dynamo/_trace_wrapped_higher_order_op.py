"""`torch._dynamo._trace_wrapped_higher_order_op`: a context that packages enter for PyTorch's compiler."""

from pullback.face.absent import getter


class TransformGetItemToIndex:
    """A context that changes nothing: tensors are indexed by tensors under `vmap`, too."""

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None: ...


__getattr__ = getter(__name__)
