"""Training loops written as classes: steps, schedules, callbacks, checkpoints and loading."""

import logging
import tempfile

import lightning.pytorch as pl
import torch
from lightning.fabric import Fabric

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Net(pl.LightningModule):
    def __init__(self, width=8):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 1))

    def training_step(self, batch, _):
        x, y = batch
        loss = (self.net(x)[:, 0] - y).square().mean()
        self.log("train", loss)
        return loss

    def validation_step(self, batch, _):
        x, y = batch
        self.log("valid", (self.net(x)[:, 0] - y).abs().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2)]


pl.seed_everything(0, verbose=False)
x = torch.randn(48, 4)
data = torch.utils.data.TensorDataset(x, x.sum(1))
loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
check = torch.utils.data.DataLoader(data, batch_size=16)
quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
with tempfile.TemporaryDirectory() as folder:
    net = Net()
    keep = pl.callbacks.ModelCheckpoint(folder, monitor="valid")
    stop = pl.callbacks.EarlyStopping("valid", patience=3)
    trainer = pl.Trainer(
        max_epochs=4,
        callbacks=[keep, stop],
        gradient_clip_val=1.0,
        accumulate_grad_batches=2,
        default_root_dir=folder,
        **quiet,
    )
    trainer.fit(net, loader, check)
    print("figures", *(value.item() for _, value in sorted(trainer.callback_metrics.items())))
    print("weights", *(p.abs().sum().item() for p in net.parameters()))
    found = trainer.validate(net, check, verbose=False)
    loaded = Net.load_from_checkpoint(keep.best_model_path)
    print(
        "loaded",
        found[0]["valid"],
        loaded.hparams.width,
        loaded.net(x).sum().item(),
        keep.best_model_score.item(),
    )
    again = pl.Trainer(max_epochs=6, default_root_dir=folder, enable_checkpointing=False, **quiet)
    again.fit(net, loader, ckpt_path=keep.best_model_path)
    print("resumed", again.current_epoch, *(p.abs().sum().item() for p in net.parameters()))
fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
fabric.launch()
model = torch.nn.Linear(4, 1)
model, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), lr=0.1))
loss = model(x).square().mean()
fabric.backward(loss)
optimizer.step()
print("fabric", loss.item(), model.weight.dtype, model.weight.sum().item())

TOLERANCE = 1e-4
REQUIRES = (
    "lightning==2.6.6 pyyaml==6.0.4 fsspec==2026.9.0 lightning-utilities==0.15.2 packaging==26.4 "
    "typing_extensions==4.16.0 torchmetrics==1.9.0 tqdm==4.70.1"
)
