"""Annotations of shapes and dtypes, checked at calls."""

# ruff: noqa: F722

import torch
from jaxtyping import Bool, Float, Int, jaxtyped
from typeguard import typechecked

REQUIRES = "jaxtyping==0.3.11 wadler_lindig==0.1.8 typeguard==2.13.3"
QUICK = True


@jaxtyped(typechecker=typechecked)
def attend(q: Float[torch.Tensor, "n d"], k: Float[torch.Tensor, "m d"]) -> Float[torch.Tensor, "n m"]:
    return (q @ k.T).softmax(-1)


torch.manual_seed(0)
print("result", attend(torch.randn(3, 4), torch.randn(5, 4)).square().sum().item())
for q, k in ((torch.ones(3, 4), torch.ones(5, 3)), (torch.ones(3, 4).long(), torch.ones(5, 4))):
    try:
        attend(q, k)
        print("accepted")
    except Exception as error:
        print("refused", type(error).__name__)
print(
    "kinds",
    isinstance(torch.ones(2), Float[torch.Tensor, "2"]),
    isinstance(torch.ones(2), Int[torch.Tensor, "2"]),
    isinstance(torch.ones(2) > 0, Bool[torch.Tensor, "n"]),
)
