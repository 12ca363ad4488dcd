"""Both partial derivatives of z = x**y."""

import pullback as torch

x = torch.tensor(3.0, requires_grad=True)
y = torch.tensor(4.0, requires_grad=True)
print("x:", x)
print("y:", y)
z = x**y
print("z:", z)
z.backward()
print("x.grad :", x.grad)
print("y.grad :", y.grad)
