"""A training loop for any device: accumulated gradients, clipping, and the state saved and loaded."""

import tempfile

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

REQUIRES = (
    "accelerate==1.15.0 packaging==26.4 psutil==7.2.2 pyyaml==6.0.4 huggingface_hub==2.4.0 "
    "safetensors==0.8.0 filelock==4.3.1 fsspec==2026.9.0 tqdm==4.70.1 typing_extensions==4.16.0 "
    "hf-xet==1.8.0 click==8.5.1 httpx2==2.16.2 httpcore2==2.16.2 h11==0.16.0 anyio==4.16.0 "
    "truststore==0.10.5 idna==3.20 certifi==2026.10.19.post1"
)

set_seed(0)
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
x, y = torch.randn(48, 5), torch.randn(48, 1)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=8, shuffle=True)
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=6)
net, optimizer, loader, schedule = accelerator.prepare(net, optimizer, loader, schedule)
for _ in range(2):
    for a, b in loader:
        with accelerator.accumulate(net):
            loss = (net(a) - b).square().mean()
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
print("loss", loss.item(), optimizer.param_groups[0]["lr"])
print("weights", *(p.abs().sum().item() for p in net.parameters()))
with tempfile.TemporaryDirectory() as folder:
    accelerator.save_state(folder)
    before = [p.clone() for p in net.parameters()]
    for p in net.parameters():
        p.data.zero_()
    accelerator.load_state(folder)
    print("loaded", all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)))
