"""A small decoder of tokens: loss, gradients and greedy generation."""

import torch
from x_transformers import AutoregressiveWrapper, Decoder, Encoder, TransformerWrapper

REQUIRES = (
    "x-transformers==2.31.10 einops==0.8.2 einx==0.4.3 frozendict==2.5.1 loguru==0.7.3 packaging==26.4 "
    "torch-einops-utils==0.2.0"
)

torch.manual_seed(0)
net = AutoregressiveWrapper(
    TransformerWrapper(
        num_tokens=20,
        max_seq_len=24,
        attn_layers=Decoder(dim=24, depth=2, heads=3, rotary_pos_emb=True, ff_glu=True),
    )
)
tokens = torch.randint(20, (3, 16))
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
for _ in range(5):
    optimizer.zero_grad()
    loss = net(tokens)
    loss.backward()
    optimizer.step()
print("loss", loss.item(), sum(p.grad.abs().sum() for p in net.parameters() if p.grad is not None).item())
print("generated", *net.generate(tokens[:1, :4], 8, temperature=0.0)[0].tolist())
encoder = TransformerWrapper(
    num_tokens=20,
    max_seq_len=24,
    attn_layers=Encoder(dim=24, depth=1, heads=3, attn_qk_norm=True, use_rmsnorm=True),
)
print("encoded", encoder(tokens, mask=torch.ones(3, 16).bool()).square().sum().item())
