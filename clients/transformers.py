"""Language models made from configurations: gradients, training, generation, saved and loaded."""

import tempfile

import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

TOLERANCE = 1e-4
REQUIRES = (
    "transformers==5.24.0 tokenizers==0.23.3 regex==2026.11.19 huggingface_hub==2.4.0 safetensors==0.8.0 "
    "pyyaml==6.0.4 filelock==4.3.1 fsspec==2026.9.0 packaging==26.4 requests==2.34.2 tqdm==4.70.1 "
    "typing_extensions==4.16.0 hf-xet==1.8.0 urllib3==2.8.0 idna==3.20 certifi==2026.10.19.post1 "
    "charset-normalizer==3.5.3 click==8.5.1 httpx2==2.16.2 httpcore2==2.16.2 h11==0.16.0 anyio==4.16.0 "
    "truststore==0.10.5"
)

small = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
models = {
    "bert": (BertForMaskedLM, BertConfig(intermediate_size=64, **small)),
    "gpt2": (
        GPT2LMHeadModel,
        GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=1),
    ),
    "llama": (LlamaForCausalLM, LlamaConfig(intermediate_size=64, num_key_value_heads=2, **small)),
    "t5": (
        T5ForConditionalGeneration,
        T5Config(
            vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
        ),
    ),
}
tokens = torch.tensor([[5, 9, 33, 2, 17, 40, 8, 21], [7, 7, 12, 60, 3, 22, 31, 4]])
for name, (kind, config) in models.items():
    torch.manual_seed(0)
    model = kind(config).eval()
    out = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), labels=tokens)
    out.loss.backward()
    print(
        name, out.loss.item(), *(p.grad.abs().sum().item() for p in model.parameters() if p.grad is not None)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train()
    torch.manual_seed(1)
    for _ in range(5):
        optimizer.zero_grad()
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    logits = model(input_ids=tokens, labels=tokens).logits
    print("trained", loss.item(), logits.sum().item())
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = kind.from_pretrained(folder)
    print("loaded", torch.equal(loaded(input_ids=tokens, labels=tokens).logits, logits))
    if name != "bert":
        greedy = {"do_sample": False, "max_new_tokens": 8, "pad_token_id": 0}
        print("greedy", *model.generate(tokens[:, :4], **greedy).flatten().tolist())
        print("beams", *model.generate(tokens[:, :4], num_beams=3, **greedy).flatten().tolist())
        torch.manual_seed(2)
        sampled = model.generate(tokens[:, :4], do_sample=True, top_k=10, max_new_tokens=8, pad_token_id=0)
        print("sampled", *sampled.flatten().tolist())
