"""Engines with events and handlers: training, metrics, early stopping, checkpoints."""

import tempfile

import torch
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import Checkpoint, DiskSaver, EarlyStopping, LRScheduler, PiecewiseLinear
from ignite.metrics import Accuracy, ConfusionMatrix, Loss, Precision, RunningAverage

torch.manual_seed(0)
x = torch.randn(64, 5)
data = torch.utils.data.TensorDataset(x, (x.sum(1) > 0).long())
loader = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)
net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)
loss = torch.nn.CrossEntropyLoss()
trainer = create_supervised_trainer(net, optimizer, loss)
RunningAverage(output_transform=lambda out: out).attach(trainer, "running")
trainer.add_event_handler(
    Events.ITERATION_STARTED, PiecewiseLinear(optimizer, "lr", [(0, 0.1), (8, 0.5), (16, 0.1)])
)
trainer.add_event_handler(Events.EPOCH_COMPLETED, LRScheduler(torch.optim.lr_scheduler.StepLR(optimizer, 2)))
found = {
    "accuracy": Accuracy(),
    "loss": Loss(loss),
    "precision": Precision(average=True),
    "table": ConfusionMatrix(2),
}
evaluator = create_supervised_evaluator(net, found)
evaluator.add_event_handler(Events.COMPLETED, EarlyStopping(2, lambda e: -e.state.metrics["loss"], trainer))


@trainer.on(Events.EPOCH_COMPLETED)
def check(engine):
    figures = evaluator.run(loader).metrics
    print(engine.state.epoch, engine.state.metrics["running"], figures["loss"], figures["accuracy"])


trainer.run(loader, max_epochs=5)
print("table", *found["table"].compute().flatten().tolist(), evaluator.state.metrics["precision"])
with tempfile.TemporaryDirectory() as folder:
    keep = Checkpoint({"net": net, "optimizer": optimizer}, DiskSaver(folder, require_empty=False))
    keep(trainer)
    before = net(x).clone()
    net[0].weight.data.zero_()
    Checkpoint.load_objects({"net": net, "optimizer": optimizer}, keep.last_checkpoint)
    print("loaded", torch.equal(net(x), before))

REQUIRES = "pytorch-ignite==0.5.5 packaging==26.4"
