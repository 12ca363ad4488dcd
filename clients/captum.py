"""Attributions of a network's output to its inputs, layers and neurons."""

import numpy as np
import torch
from captum import attr

REQUIRES = "captum==0.9.0 tqdm==4.70.1 matplotlib==3.11.2 packaging==26.4"

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.relu, self.last = torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.relu(self.first(x)))


net, x, base = Net(), torch.randn(4, 6), torch.zeros(4, 6)
for method in (
    attr.Saliency(net),
    attr.InputXGradient(net),
    attr.IntegratedGradients(net),
    attr.DeepLift(net),
    attr.GuidedBackprop(net),
    attr.Deconvolution(net),
    attr.FeatureAblation(net),
    attr.Occlusion(net),
    attr.ShapleyValueSampling(net),
    attr.LRP(net),
):
    torch.manual_seed(1)
    options = {"sliding_window_shapes": (2,)} if isinstance(method, attr.Occlusion) else {}
    found = method.attribute(x, target=1, **options)
    print(type(method).__name__, found.sum().item(), found.abs().sum().item())
layer = attr.LayerConductance(net, net.first).attribute(x, target=0)
print(
    "conductance", layer.sum().item(), attr.LayerGradCam(net, net.first).attribute(x, target=0).sum().item()
)
print("neuron", attr.NeuronIntegratedGradients(net, net.first).attribute(x, (2,)).sum().item())
torch.manual_seed(2)
np.random.seed(2)
print("shap", attr.GradientShap(net).attribute(x, base, target=2, n_samples=4, stdevs=0.1).sum().item())
