"""A small GPT that learns to write, letter by letter, the descriptions of scikit-learn's datasets.

Two blocks of causal attention and perceptrons, with the norms before them, read 32 letters and guess the
next of each. The program prints what it writes after training, and fails if the loss on a text that was held
out is not below that of guessing letters by how often they occur.

    pip install .[examples]
    python examples/char_gpt.py [--plot gpt.png]
"""

from __future__ import annotations

import argparse
import math
import sys

from sklearn import datasets
from tqdm import tqdm

import pullback as torch
import pullback.nn.functional as F
from pullback import nn
from pullback.nn.utils import clip_grad_norm_

STEPS, BATCH, CONTEXT, WIDTH, HEADS, RATE = 150, 16, 32, 48, 4, 5e-3


class Block(nn.Module):
    """Attention to what came before, then a perceptron, each added to what passes by."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, letters, width) to the same shape."""
        batch, letters, _ = x.shape
        q, k, v = (
            part.view(batch, letters, HEADS, -1).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).chunk(3, dim=-1)
        )
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, letters, WIDTH))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Letters to the scores of the next ones."""

    def __init__(self, letters: int) -> None:
        super().__init__()
        self.letter = nn.Embedding(letters, WIDTH)
        self.place = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, letters))

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """(batch, letters) of numbers to scores (batch, letters, alphabet)."""
        x = self.letter(text) + self.place(torch.arange(text.shape[1]))
        return self.head(self.blocks(x))

    @torch.no_grad()
    def write(self, text: torch.Tensor, count: int) -> torch.Tensor:
        """The text with `count` letters more, drawn by their probabilities."""
        for _ in range(count):
            scores = self(text[:, -CONTEXT:])[:, -1] / 0.7
            text = torch.cat([text, torch.multinomial(scores.softmax(-1), 1)], dim=1)
        return text


def corpus() -> str:
    """The descriptions of six datasets."""
    names = ("iris", "wine", "breast_cancer", "diabetes", "linnerud", "digits")
    return "\n".join(getattr(datasets, f"load_{name}")().DESCR for name in names)


def batch(text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pieces of the text, and the same one letter on."""
    starts = torch.randint(len(text) - CONTEXT - 1, (BATCH,)).tolist()
    pieces = torch.stack([text[i : i + CONTEXT + 1] for i in starts])
    return pieces[:, :-1], pieces[:, 1:]


def train(model: GPT, text: torch.Tensor) -> list[float]:
    """Train on pieces of the text; the loss of each step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    losses = []
    with tqdm(range(STEPS), desc="training", unit="step") as bar:
        for _ in bar:
            x, y = batch(text)
            loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
    return losses


def main() -> int:
    """Train, test, write."""
    parser = argparse.ArgumentParser(description="Train a small GPT on letters.")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of the loss")
    options = parser.parse_args()
    torch.manual_seed(0)
    text = corpus()
    alphabet = sorted(set(text))
    numbers = torch.tensor([alphabet.index(letter) for letter in text])
    cut = int(0.9 * len(numbers))
    shares = torch.bincount(numbers[:cut], minlength=len(alphabet)) / cut
    guess = -(shares * torch.log(shares.clamp(min=1e-9))).sum().item()
    model = GPT(len(alphabet))
    losses = train(model, numbers[:cut])
    model.eval()
    with torch.no_grad():
        x, y = batch(numbers[cut:])
        held_out = F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item()
    written = model.write(numbers[:1][None], 120)[0].tolist()
    print("".join(alphabet[number] for number in written))
    print(f"held out: {held_out / math.log(2):.2f} bits a letter; by frequencies {guess / math.log(2):.2f}")
    if options.plot:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(layout="constrained")
        axes.plot(losses, label="training")
        axes.axhline(guess, color="gray", linestyle=":", label="by frequencies")
        axes.set(xlabel="step", ylabel="loss, nats a letter")
        axes.legend()
        figure.savefig(options.plot)
    return 0 if held_out < guess else 1


if __name__ == "__main__":
    sys.exit(main())
