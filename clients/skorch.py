"""A classifier of digits for scikit-learn: fit, score, a grid search, clone and pickle."""

import pickle

import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier

REQUIRES = (
    "skorch==1.4.0 scikit-learn==1.9.1 joblib==1.6.0 threadpoolctl==3.8.0 tqdm==4.70.1 tabulate==0.10.0 "
    "narwhals==2.29.0"
)
TOLERANCE = 1e-3

x, y = load_digits(return_X_y=True)
x, y = (x / 16).astype(np.float32)[:600], y.astype(np.int64)[:600]


class Net(torch.nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(width, 10)
        )

    def forward(self, x):
        return self.net(x).softmax(-1)


torch.manual_seed(0)
model = NeuralNetClassifier(Net, max_epochs=4, lr=0.1, iterator_train__shuffle=True, verbose=0)
model.fit(x, y)
print("losses", *(row["train_loss"] for row in model.history))
print("score", model.score(x, y), model.predict_proba(x[:3]).sum())
copied = pickle.loads(pickle.dumps(model))
print("same", bool((copied.predict(x) == model.predict(x)).all()))
torch.manual_seed(1)
search = GridSearchCV(
    clone(model), {"module__width": [8, 32], "lr": [0.05, 0.2]}, cv=2, scoring="accuracy", n_jobs=1
)
search.fit(x, y)
print("search", search.best_params_["module__width"], search.best_params_["lr"], search.best_score_)
