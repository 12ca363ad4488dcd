"""Measures of classification, regression, retrieval and images, over batches."""

import torch
import torchmetrics
from torchmetrics import MetricCollection, classification, regression
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure
from torchmetrics.retrieval import RetrievalMAP

REQUIRES = "torchmetrics==1.9.0 lightning-utilities==0.15.2 packaging==26.4 typing_extensions==4.16.0"

torch.manual_seed(0)
collection = MetricCollection(
    [
        classification.MulticlassAccuracy(5),
        classification.MulticlassF1Score(5),
        classification.MulticlassAUROC(5),
        classification.MulticlassAveragePrecision(5),
        classification.MulticlassCalibrationError(5),
        classification.MulticlassCohenKappa(5),
        classification.MulticlassMatthewsCorrCoef(5),
    ]
)
for _ in range(4):
    collection.update(torch.randn(40, 5).softmax(-1), torch.randint(5, (40,)))
for name, value in sorted(collection.compute().items()):
    print(name, value.item())
for metric in (
    regression.MeanSquaredError(),
    regression.R2Score(),
    regression.PearsonCorrCoef(),
    regression.SpearmanCorrCoef(),
    regression.KendallRankCorrCoef(),
    regression.ExplainedVariance(),
):
    x = torch.randn(60)
    metric.update(x, x + torch.randn(60))
    print(type(metric).__name__, metric.compute().item())
x = torch.rand(2, 3, 32, 32)
y = (x + 0.05 * torch.randn_like(x)).clamp(0, 1)
print(
    "image",
    PeakSignalNoiseRatio(data_range=1.0)(x, y).item(),
    StructuralSimilarityIndexMeasure(data_range=1.0)(x, y).item(),
)
print("map", RetrievalMAP()(torch.rand(20), torch.rand(20) > 0.5, indexes=torch.arange(20) // 5).item())
print(
    "confusion",
    *torchmetrics.ConfusionMatrix("multiclass", num_classes=3)(torch.arange(9) % 3, torch.arange(9) // 3)
    .flatten()
    .tolist(),
)
