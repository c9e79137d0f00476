"""Train DigitsNet on scikit-learn's digits and write what the example needs into models/data/.

Run from the repository's root: ``python -m models.train_digits``. Less than a minute on two cores. The same
versions of the libraries on the same machine give the same files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits

from models.digits import DigitsNet
from models.training import Labels, Samples, accuracy, train, write_weights

SIZE = 28
ENLARGED = 3.0  # of 28 pixels a digit fills 24
EPOCHS = 8
TEST, VALIDATION, CALIBRATION = 360, 180, 256
DATA = Path(__file__).parent / "data"


def draw(
    digit: npt.NDArray[np.float64],
    turn: float = 0.0,
    grow: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Samples:
    """Return an 8x8 digit (0 to 16) as a sensor delivers it: int8 (28, 28), enlarged, turned and shifted."""
    cosine, sine = np.cos(turn), np.sin(turn)
    to_source = np.array([[cosine, -sine], [sine, cosine]]) / (ENLARGED * grow)
    centre = np.array([(SIZE - 1) / 2, (SIZE - 1) / 2]) + np.array(shift)
    offset = np.array([3.5, 3.5]) - to_source @ centre
    enlarged = affine_transform(digit, to_source, offset, (SIZE, SIZE), order=1)
    return np.asarray(np.round(enlarged * (255 / 16) - 128), dtype=np.int8)


def distorted(digits: npt.NDArray[np.float64], random: np.random.Generator) -> Samples:
    """Return digits (N, 8, 8) as int8 images (N, 1, 28, 28), each turned, scaled and shifted a little."""
    images = [
        draw(digit, random.uniform(-0.2, 0.2), random.uniform(0.88, 1.12), tuple(random.uniform(-2, 2, 2)))
        for digit in digits
    ]
    return np.stack(images)[:, None]


def plain(digits: npt.NDArray[np.float64]) -> Samples:
    """Return digits (N, 8, 8) as undistorted int8 images (N, 1, 28, 28)."""
    return np.stack([draw(digit) for digit in digits])[:, None]


def train_digits(
    digits: npt.NDArray[np.float64], labels: Labels, held_out: tuple[Samples, Labels], seed: int = 0
) -> DigitsNet:
    """Return a model trained on digits (N, 8, 8), distorted anew in each epoch."""
    torch.manual_seed(seed)
    model = DigitsNet()
    train(model, lambda random: (distorted(digits, random), labels), held_out, EPOCHS, seed)
    return model


def main() -> None:
    """Split, train, and write weights, calibration images, test images and test labels."""
    torch.use_deterministic_algorithms(True)
    source = load_digits()
    order = np.random.default_rng(0).permutation(len(source.target))
    digits, labels = source.images[order], source.target[order].astype(np.int64)
    test, rest = slice(0, TEST), slice(TEST + VALIDATION, None)
    validation = slice(TEST, TEST + VALIDATION)
    model = train_digits(digits[rest], labels[rest], (plain(digits[validation]), labels[validation]))
    test_images = plain(digits[test])
    print(f"test {accuracy(model, test_images, labels[test]):.4f}")
    DATA.mkdir(exist_ok=True)
    write_weights(model, DATA / "digits.safetensors")
    calibration = distorted(digits[rest][:CALIBRATION], np.random.default_rng(1))
    np.save(DATA / "digits_calibration.npy", calibration)
    np.save(DATA / "digits_test.npy", test_images)
    np.save(DATA / "digits_test_labels.npy", labels[test].astype(np.int8))


if __name__ == "__main__":
    main()
