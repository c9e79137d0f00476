"""Train MotionNet on the BasicMotions recordings, in float and for the chip, and write both.

Run from the repository's root: ``python -m models.train_motion``. Less than a minute on two cores.

The recordings (UEA archive: 4 activities, 40 recordings to train and 40 to test, each 10 s of a smartwatch
at 10 Hz) are files of the sktime package (``pip install --no-deps sktime``: nothing of it is imported) and
are not copied into this repository; ``--samples DIR`` writes their windows as .npy files, for an app file.
What stands in ``motion_samples.npy`` instead is made up: swings of several rates and strengths.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.motion import MotionNet
from models.training import Labels, Samples, accuracy, train, write_weights
from synergyc.frontend import capture
from synergyc.legalize import rewrite
from synergyc.pipeline.integer_files import write_stored
from synergyc.pipeline.training import Labelled, Schedule, Trained
from synergyc.pipeline.training import train as train_quantized
from synergyc.quantize import calibrate
from synergyc.quantize.calibrate import integer_values

CLASSES = ("Standing", "Running", "Walking", "Badminton")
WINDOW = 32
FULL_SCALE = 16.0
"""What the sensor delivers as 128, in the recordings' units of both kinds; more is clipped."""

EPOCHS = 40
DRAWS = 8  # windows of each recording in an epoch
VALIDATION = 3  # recordings of each activity that training does not see
HOP = 17  # between windows that are not drawn: 5 of each recording
DATA = Path(__file__).parent / "data"

BITS = {"conv1.0": 8, "conv2.0": 2, "conv3.0": 2, "classify": 8}

Recordings = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def read(part: str) -> tuple[Recordings, Labels]:
    """Return the recordings (N, 6, 100) of ``TRAIN`` or ``TEST``, and their class numbers.

    The file is read as text where the installed package holds it; nothing of the package is imported.
    """
    package = find_spec("sktime")
    if package is None or package.origin is None:
        raise SystemExit("the recordings come with the package sktime: pip install --no-deps sktime")
    folder = Path(package.origin).parent / "datasets" / "data" / "BasicMotions"
    _, body = (folder / f"BasicMotions_{part}.ts").read_text().split("@data\n")
    rows = [line.split(":") for line in body.split()]
    channels = [[[float(value) for value in channel.split(",")] for channel in row[:-1]] for row in rows]
    return np.array(channels), np.array([CLASSES.index(row[-1]) for row in rows], dtype=np.int64)


def sensed(recordings: Recordings) -> Samples:
    """Return recordings or windows as a sensor delivers them, int8."""
    return np.clip(np.round(recordings * (128 / FULL_SCALE)), -128, 127).astype(np.int8)


def windows(recordings: Recordings, labels: Labels) -> tuple[Samples, Labels]:
    """Return windows (N, 6, 32), ``HOP`` apart, of all recordings."""
    starts = range(0, recordings.shape[2] - WINDOW + 1, HOP)
    cut = np.concatenate([recordings[:, :, start : start + WINDOW] for start in starts])
    return sensed(cut), np.tile(labels, len(starts))


def drawn(recordings: Recordings, labels: Labels, random: np.random.Generator) -> tuple[Samples, Labels]:
    """Return ``DRAWS`` windows of each recording, from random places and a little stronger or weaker."""
    picked = np.repeat(np.arange(len(labels)), DRAWS)
    starts = random.integers(0, recordings.shape[2] - WINDOW + 1, len(picked))
    cut = np.stack(
        [recordings[index, :, start : start + WINDOW] for index, start in zip(picked, starts, strict=True)]
    )
    return sensed(cut * random.uniform(0.8, 1.25, (len(cut), 1, 1))), labels[picked]


def split(labels: Labels, seed: int) -> tuple[Index, Index]:
    """Return which recordings train, and which ``VALIDATION`` of each activity do not."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    held = np.concatenate([order[labels[order] == number][:VALIDATION] for number in range(len(CLASSES))])
    return np.setdiff1d(order, held), held


def train_motion(seed: int = 0) -> tuple[MotionNet, Index, Index]:
    """Return a trained model, and which of the recordings trained and validated it."""
    recordings, labels = read("TRAIN")
    used, held = split(labels, seed)
    torch.manual_seed(seed)
    model = MotionNet()
    train(
        model,
        lambda random: drawn(recordings[used], labels[used], random),
        windows(recordings[held], labels[held]),
        EPOCHS,
        seed,
    )
    return model, used, held


def train_integers(model: MotionNet, used: Index, held: Index) -> Trained:
    """Return the float ``model`` in integers, middle layers of 2 bits, trained on the same recordings."""
    recordings, labels = read("TRAIN")
    data = Labelled(*windows(recordings[used], labels[used]))
    validation = Labelled(*windows(recordings[held], labels[held]))
    graph = rewrite(capture(model, (6, WINDOW), "motion"))
    return train_quantized(calibrate(graph, data.inputs, BITS), data, validation, Schedule(epochs=10))


def made_up(count: int) -> Samples:
    """Return ``count`` windows of swings, 0 to 3 per second, weak to strong."""
    random = np.random.default_rng(0)
    rate_hz, strength, phase = (random.uniform(0, most, (count, 6, 1)) for most in (3, 12, 2 * np.pi))
    time_s = np.arange(WINDOW) / 10
    return sensed(strength * np.sin(2 * np.pi * rate_hz * time_s + phase))


def main() -> None:
    """Train, report, and write the weights, or the windows that the options ask for."""
    parser = argparse.ArgumentParser(description="Train MotionNet on the BasicMotions recordings.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=Path, metavar="DIR", help="only write windows as .npy files")
    options = parser.parse_args()
    test, labels = windows(*read("TEST"))
    if options.samples is not None:
        options.samples.mkdir(parents=True, exist_ok=True)
        np.save(options.samples / "motion_test.npy", test)
        np.save(options.samples / "motion_test_labels.npy", labels.astype(np.int8))
        np.save(options.samples / "motion_calibration.npy", windows(*read("TRAIN"))[0])
        return
    torch.use_deterministic_algorithms(True)
    model, used, held = train_motion(options.seed)
    print(f"test {accuracy(model, test, labels):.4f} on {len(labels)} windows")
    integers = train_integers(model, used, held).integers
    answers = integer_values(integers, test)[integers.output].reshape(len(test), -1).argmax(axis=1)
    print(f"test in integers {np.mean(answers == labels):.4f}")
    write_weights(model, DATA / "motion.safetensors")
    write_stored(integers, DATA / "motion_integers.safetensors")
    np.save(DATA / "motion_samples.npy", made_up(32))


if __name__ == "__main__":
    main()
