"""Training a small classifier on int8 samples: what the demo models' scripts have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import nn

BATCH = 64

Samples = npt.NDArray[np.int8]
Labels = npt.NDArray[np.int64]


def as_tensor(samples: Samples) -> torch.Tensor:
    """Return int8 samples as the real values in [-1, 1) that they stand for."""
    return torch.from_numpy(samples.astype(np.float32) / 128)


def accuracy(model: nn.Module, samples: Samples, labels: Labels) -> float:
    """Return the fraction of samples that the model classifies correctly."""
    model.eval()
    with torch.no_grad():
        return float((model(as_tensor(samples)).argmax(1).numpy() == labels).mean())


def train(
    model: nn.Module,
    draw: Callable[[np.random.Generator], tuple[Samples, Labels]],
    held_out: tuple[Samples, Labels],
    epochs: int,
    seed: int = 0,
) -> None:
    """Train ``model`` on what ``draw`` gives for each epoch; keep the epoch best on ``held_out``."""
    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    best, best_state = -1.0, model.state_dict()
    for epoch in range(epochs):
        model.train()
        samples, labels = draw(random)
        inputs, targets = as_tensor(samples), torch.from_numpy(labels)
        order = random.permutation(len(inputs))
        for start in range(0, len(order), BATCH):
            batch = torch.from_numpy(order[start : start + BATCH])
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs[batch]), targets[batch], label_smoothing=0.05)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
        reached = accuracy(model, *held_out)
        if reached >= best:
            best, best_state = reached, {key: value.clone() for key, value in model.state_dict().items()}
        print(f"epoch {epoch + 1}: validation {reached:.4f}")
    model.load_state_dict(best_state)


def write_weights(model: nn.Module, path: Path) -> None:
    """Write what inference needs of the model as safetensors."""
    weights = {key: value for key, value in model.state_dict().items() if value.is_floating_point()}
    path.write_bytes(save(weights))
