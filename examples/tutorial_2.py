"""The gradient of y = w*x + b with respect to w and b; x is an integer and takes none."""

import pullback as torch

x = torch.tensor(3)
w = torch.tensor(2.0, requires_grad=True)
b = torch.tensor(5.0, requires_grad=True)
print("x:", x)
print("w:", w)
print("b:", b)
y = w * x + b
print("y:", y)
y.backward()
print("x.grad :", x.grad)
print("w.grad :", w.grad)
print("b.grad :", b.grad)
