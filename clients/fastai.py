"""Learners with callbacks: images and tables, the one cycle policy, metrics, saved and loaded."""

import tempfile

import torch
from fastai.callback.schedule import lr_find  # noqa: F401
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat, LabelSmoothingCrossEntropy
from fastai.metrics import F1Score, accuracy
from fastai.optimizer import Adam, Lamb, ranger
from fastai.tabular.model import TabularModel
from fastai.vision.learner import create_head
from fastai.vision.models.xresnet import xresnet18

torch.manual_seed(0)
images = torch.randn(32, 3, 16, 16)
labels = (images.mean((1, 2, 3)) > 0).long()
pairs = list(zip(images, labels, strict=True))
data = DataLoaders(DataLoader(pairs[:24], bs=8, num_workers=0), DataLoader(pairs[24:], bs=8, num_workers=0))


def net():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU(), create_head(8, 2, lin_ftrs=[16], ps=0.0)
    )


for optimizer in (Adam, Lamb, ranger):
    learner = Learner(data, net(), CrossEntropyLossFlat(), optimizer, metrics=[accuracy, F1Score()])
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(2, 1e-2)
        print(optimizer.__name__, *learner.validate(), *learner.recorder.losses[-1:])
with tempfile.TemporaryDirectory() as folder:
    learner.path, before = __import__("pathlib").Path(folder), learner.get_preds()[0]
    learner.save("here")
    learner.model[0].weight.data.zero_()
    learner.load("here")
    print("loaded", torch.equal(learner.get_preds()[0], before))
loss = LabelSmoothingCrossEntropy()(torch.randn(6, 4, requires_grad=True), torch.tensor([0, 1, 2, 3, 0, 1]))
print("smoothing", loss.item())
torch.manual_seed(2)
table = TabularModel([(5, 3), (4, 2)], n_cont=2, out_sz=1, layers=[8])
out = table(torch.tensor([[1, 2], [4, 0], [3, 3]]), torch.randn(3, 2))
out.sum().backward()
print("table", *out.flatten().tolist(), *(p.grad.abs().sum().item() for p in table.parameters()))
torch.manual_seed(3)
big = xresnet18(n_out=3).eval()
print("xresnet", *big(torch.randn(1, 3, 32, 32)).flatten().tolist())

REQUIRES = (
    "fastai==2.8.12 fastdownload==0.0.8 fastprogress==1.1.6 fastcore==2.2.41 python-fasthtml==0.14.14 "
    "python-dateutil==4.0.0 starlette==1.10.0 anyio==4.16.0 idna==3.20 typing_extensions==4.16.0 "
    "itsdangerous==2.2.0 h11==0.16.0 httpx2==2.16.2 httpcore2==2.16.2 truststore==0.10.5 python-"
    "multipart==0.0.34 fasttransform==0.0.5 plum-dispatch==2.9.0 beartype==0.23.1 rich==15.0.0 "
    "torchvision==0.29.1 pillow==13.0.0 matplotlib==3.11.2 cycler==0.12.1 fonttools==4.68.0 "
    "kiwisolver==1.5.1 packaging==26.4 pyparsing==3.3.3 pandas==3.1.1 requests==2.34.2 charset-"
    "normalizer==3.5.3 urllib3==2.8.0 certifi==2026.10.19.post1 PyYAML==6.0.4 scikit-learn==1.9.1 "
    "joblib==1.6.0 cloudpickle==3.1.3 narwhals==2.29.0 threadpoolctl==3.8.0"
)
