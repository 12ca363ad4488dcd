"""Adapters of low rank in a language model: trained alone, merged, saved and loaded."""

import tempfile

import torch
from peft import (
    AdaLoraConfig,
    IA3Config,
    LoraConfig,
    PeftModel,
    PrefixTuningConfig,
    get_peft_model,
    get_peft_model_state_dict,
)
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
)
tokens = torch.tensor([[5, 9, 33, 2, 17, 40, 8, 21], [7, 7, 12, 60, 3, 22, 31, 4]])
state = LlamaForCausalLM(config).state_dict()


def base():
    model = LlamaForCausalLM(config)
    model.load_state_dict(state)
    return model


for name, options in {
    "lora": LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    "dora": LoraConfig(r=4, target_modules=["q_proj", "down_proj"], use_dora=True, task_type="CAUSAL_LM"),
    "ia3": IA3Config(task_type="CAUSAL_LM"),
    "adalora": AdaLoraConfig(r=4, target_modules=["q_proj"], total_step=10, task_type="CAUSAL_LM"),
    "prefix": PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"),
}.items():
    torch.manual_seed(1)
    model = get_peft_model(base(), options)
    trained = [p for p in model.parameters() if p.requires_grad]
    print(name, len(trained), sum(p.numel() for p in trained))
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    for _ in range(4):
        optimizer.zero_grad()
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
    model.eval()
    logits = model(input_ids=tokens).logits
    print("trained", loss.item(), logits.abs().sum().item())
    print("state", sum(v.abs().sum().item() for v in get_peft_model_state_dict(model).values()))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = PeftModel.from_pretrained(base(), folder).eval()
    print("loaded", torch.equal(loaded(input_ids=tokens).logits, logits))
    if name in ("lora", "dora"):
        merged = model.merge_and_unload()
        print("merged", torch.allclose(merged(input_ids=tokens).logits, logits, atol=1e-5))

REQUIRES = (
    "peft==0.21.2 transformers==5.24.0 accelerate==1.15.0 psutil==7.2.2 tokenizers==0.23.3 "
    "regex==2026.11.19 huggingface_hub==2.4.0 safetensors==0.8.0 pyyaml==6.0.4 filelock==4.3.1 "
    "fsspec==2026.9.0 packaging==26.4 requests==2.34.2 tqdm==4.70.1 typing_extensions==4.16.0 hf-xet==1.8.0 "
    "urllib3==2.8.0 idna==3.20 certifi==2026.10.19.post1 charset-normalizer==3.5.3 click==8.5.1 "
    "httpx2==2.16.2 httpcore2==2.16.2 h11==0.16.0 anyio==4.16.0 truststore==0.10.5"
)
