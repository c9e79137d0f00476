"""Train DigitsNet on scikit-learn's digits and write what the example needs into models/data/.

Run from the repository's root: ``python -m models.train_digits``. Less than a minute on two cores. The same
versions of the libraries on the same machine give the same files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits

from models.digits import DigitsNet

SIZE = 28
ENLARGED = 3.0  # of 28 pixels a digit fills 24
EPOCHS = 8
BATCH = 64
TEST, VALIDATION, CALIBRATION = 360, 180, 256
DATA = Path(__file__).parent / "data"

Pixels = npt.NDArray[np.int8]


def draw(
    digit: npt.NDArray[np.float64],
    turn: float = 0.0,
    grow: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Pixels:
    """Return an 8x8 digit (0 to 16) as a sensor delivers it: int8 (28, 28), enlarged, turned and shifted."""
    cosine, sine = np.cos(turn), np.sin(turn)
    to_source = np.array([[cosine, -sine], [sine, cosine]]) / (ENLARGED * grow)
    centre = np.array([(SIZE - 1) / 2, (SIZE - 1) / 2]) + np.array(shift)
    offset = np.array([3.5, 3.5]) - to_source @ centre
    enlarged = affine_transform(digit, to_source, offset, (SIZE, SIZE), order=1)
    return np.asarray(np.round(enlarged * (255 / 16) - 128), dtype=np.int8)


def distorted(digits: npt.NDArray[np.float64], random: np.random.Generator) -> Pixels:
    """Return digits (N, 8, 8) as int8 images (N, 1, 28, 28), each turned, scaled and shifted a little."""
    images = [
        draw(digit, random.uniform(-0.2, 0.2), random.uniform(0.88, 1.12), tuple(random.uniform(-2, 2, 2)))
        for digit in digits
    ]
    return np.stack(images)[:, None]


def plain(digits: npt.NDArray[np.float64]) -> Pixels:
    """Return digits (N, 8, 8) as undistorted int8 images (N, 1, 28, 28)."""
    return np.stack([draw(digit) for digit in digits])[:, None]


def as_tensor(images: Pixels) -> torch.Tensor:
    """Return int8 images as the real values in [-1, 1) that they stand for."""
    return torch.from_numpy(images.astype(np.float32) / 128)


def accuracy(model: DigitsNet, images: Pixels, labels: npt.NDArray[np.int64]) -> float:
    """Return the fraction of images that the model classifies correctly."""
    model.eval()
    with torch.no_grad():
        return float((model(as_tensor(images)).argmax(1).numpy() == labels).mean())


def train(
    digits: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    held_out: tuple[Pixels, npt.NDArray[np.int64]],
) -> DigitsNet:
    """Return the model of the epoch that does best on the held-out images."""
    random = np.random.default_rng(0)
    model = DigitsNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    best, best_state = -1.0, model.state_dict()
    for epoch in range(EPOCHS):
        model.train()
        images = as_tensor(distorted(digits, random))
        targets = torch.from_numpy(labels)
        order = random.permutation(len(images))
        for start in range(0, len(order), BATCH):
            batch = torch.from_numpy(order[start : start + BATCH])
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(
                model(images[batch]), targets[batch], label_smoothing=0.05
            )
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
        reached = accuracy(model, *held_out)
        if reached >= best:
            best, best_state = reached, {key: value.clone() for key, value in model.state_dict().items()}
        print(f"epoch {epoch + 1}: validation {reached:.4f}")
    model.load_state_dict(best_state)
    return model


def main() -> None:
    """Split, train, and write weights, calibration images, test images and test labels."""
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    source = load_digits()
    order = np.random.default_rng(0).permutation(len(source.target))
    digits, labels = source.images[order], source.target[order].astype(np.int64)
    test, rest = slice(0, TEST), slice(TEST + VALIDATION, None)
    validation = slice(TEST, TEST + VALIDATION)
    model = train(digits[rest], labels[rest], (plain(digits[validation]), labels[validation]))
    test_images = plain(digits[test])
    print(f"test {accuracy(model, test_images, labels[test]):.4f}")
    DATA.mkdir(exist_ok=True)
    weights = {key: value for key, value in model.state_dict().items() if value.is_floating_point()}
    (DATA / "digits.safetensors").write_bytes(save(weights))
    calibration = distorted(digits[rest][:CALIBRATION], np.random.default_rng(1))
    np.save(DATA / "digits_calibration.npy", calibration)
    np.save(DATA / "digits_test.npy", test_images)
    np.save(DATA / "digits_test_labels.npy", labels[test].astype(np.int8))


if __name__ == "__main__":
    main()
