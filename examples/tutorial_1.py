"""The slope of y = x**2 + 1 at x = 2."""

import pullback as torch

x = torch.tensor(2.0, requires_grad=True)
print("x:", x)
y = x**2 + 1
print("y:", y)
y.backward()
dx = x.grad
print("x.grad :", dx)
