"""Losses and miners for metric learning."""

import torch
from pytorch_metric_learning import distances, losses, miners

REQUIRES = (
    "pytorch-metric-learning==2.9.0 scikit-learn==1.9.1 joblib==1.6.0 threadpoolctl==3.8.0 tqdm==4.70.1 "
    "narwhals==2.29.0"
)

torch.manual_seed(0)
x = torch.randn(24, 8, requires_grad=True)
labels = torch.arange(24) % 4
for loss in (
    losses.TripletMarginLoss(),
    losses.ContrastiveLoss(),
    losses.NTXentLoss(),
    losses.SupConLoss(),
    losses.CircleLoss(),
    losses.MultiSimilarityLoss(),
    losses.LiftedStructureLoss(),
    losses.FastAPLoss(),
    losses.ArcFaceLoss(4, 8),
    losses.ProxyAnchorLoss(4, 8),
):
    value = loss(x, labels)
    (g,) = torch.autograd.grad(value, x)
    print(type(loss).__name__, value.item(), g.abs().sum().item())
pairs = miners.MultiSimilarityMiner()(x, labels)
print(
    "miner",
    *(len(p) for p in pairs),
    losses.TripletMarginLoss(distance=distances.CosineSimilarity())(
        x, labels, miners.TripletMarginMiner()(x, labels)
    ).item(),
)
