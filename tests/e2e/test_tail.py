"""Work of the CPU behind networks, on emulated devices. Truth: the integer reference, torch for values."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from synergyc.ir import store
from synergyc.ir.fixed_point import POWER_COEFFICIENTS
from synergyc.ir.network import Network
from synergyc.manifest import Manifest, read_manifest
from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.expectation import expectation
from synergyc.pipeline.run import RunOptions, run
from synergyc.pipeline.scenario import Scenario
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.e2e import endings
from tests.e2e.damage import damage, words

pytestmark = [pytest.mark.e2e, NEEDS_CROSS_COMPILER]

_SIZE = {"Classifier": (3, 12, 12), "Segmenter": (3, 8, 8)}
_SAMPLES = 12


@dataclass(frozen=True)
class Built:
    """A build, and the folder beside it that holds its app file, weights and samples."""

    manifest: Manifest
    sources: Path

    @property
    def folder(self) -> Path:
        return self.sources / "build"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return _built("Classifier", tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return _built("Segmenter", tmp_path_factory.mktemp("segmenter"))


def _built(name: str, folder: Path, *, alone: bool = False) -> Built:
    """Build an app, network and tail on two devices unless ``alone``; labels are torch's own answers."""
    torch.manual_seed(0)
    module, shape = getattr(endings, name)().eval(), _SIZE[name]
    samples = np.random.default_rng(0).normal(0, 0.4, (_SAMPLES, *shape)).clip(-1, 0.99).astype(np.float32)
    with torch.no_grad():
        answers = module(torch.from_numpy(samples)).flatten(1).argmax(1)
    np.save(folder / "samples.npy", samples)
    np.save(folder / "labels.npy", answers.numpy())
    torch.save(module.state_dict(), folder / "weights.pt")
    (folder / "app.yaml").write_text(
        f"""synergy: 1
devices:
  wrist: {{board: max78000fthr, sensors: [replay]}}
  chest: {{board: max78002evkit, sensors: [replay], actuators: [display]}}
links:
  - {{between: [wrist, chest], medium: uart, rate_kbps: 921.6}}
apps:
  app:
    sense: {{sensor: replay, on: {"chest" if alone else "wrist"}}}
    model:
      python: "{endings.__file__}:{name}"
      weights: weights.pt
      input: {list(shape)}
    quantize: {{calibrate: samples.npy}}
    samples: samples.npy
    {"labels: labels.npy" if name == "Classifier" else ""}
    interact: display
    pin: {{layers: 0-1, to: {"chest" if alone else "wrist"}}}
"""
    )
    return Built(build(folder / "app.yaml", folder / "build", BuildOptions(), lambda _: None), folder)


@pytest.mark.parametrize(("name", "fraction_bits"), [("classifier", 16), ("segmenter", 0)])
def test_results_are_right_and_come_when_predicted(
    name: str, fraction_bits: int, request: pytest.FixtureRequest
) -> None:
    built = request.getfixturevalue(name)
    app = built.manifest.apps[0]
    assert (app.sense["on"], app.interact["on"]) == ("wrist", "chest")
    assert (app.output.width_bits, app.output.fraction_bits) == (32, fraction_bits)
    outcome = run(built.folder, RunOptions(runs=60)).apps[0]
    assert (outcome.sent, outcome.right) == (60, 60)
    assert outcome.throughput_hz == pytest.approx(app.predicted.throughput_hz, rel=0.05)


def test_one_run_takes_what_its_parts_take(tmp_path: Path) -> None:
    """On one device, where nothing but the tail takes long."""
    built = _built("Segmenter", tmp_path, alone=True)
    predicted = built.manifest.apps[0].predicted
    (term,) = (item for item in predicted.terms if item.task == "tail")
    assert term.unit == "chest.cpu"
    assert term.duration_us > 0.9 * 1000 * predicted.unloaded_latency_ms
    alone = run(built.folder, RunOptions(runs=4, sequential=True)).apps[0].latency
    assert alone is not None
    assert alone.p50_ms == pytest.approx(predicted.unloaded_latency_ms, rel=0.05)


def test_probabilities_are_torchs_and_survive_a_bad_wire(classifier: Built) -> None:
    app = classifier.manifest.apps[0]
    outcome = run(classifier.folder, RunOptions(runs=20, scenario=Scenario(loss=0.1, corrupt=0.01))).apps[0]
    assert (outcome.right, outcome.wrong) == (20, 0)
    assert outcome.accuracy is not None
    assert outcome.accuracy["emulated"] == outcome.accuracy["reference"]
    module = endings.Classifier().eval()
    module.load_state_dict(torch.load(classifier.sources / "weights.pt", weights_only=True))
    with torch.no_grad():
        expected = module(torch.from_numpy(np.load(classifier.sources / "samples.npy"))).numpy()
    found = expectation(classifier.folder, app, _SAMPLES).outputs / 2.0**16
    assert np.abs(found - expected).max() < 0.05  # quantization; the tail's own error is below 2**-16
    np.testing.assert_allclose(found.sum(1), 1.0, atol=10 * 2**-16)


def test_a_wrong_tail_is_told_from_a_wrong_layer(classifier: Built, tmp_path: Path) -> None:
    build = Path(shutil.copytree(classifier.folder, tmp_path / "build"))
    first, second, *others = POWER_COEFFICIENTS
    damage(build, "chest", words(first, second, *others), words(first, second + (1 << 24), *others))
    found = run(build, RunOptions(runs=2)).apps[0].first_difference
    assert found is not None
    assert (found.layer, found.device) == (None, None)
    assert "no layer differs: the result is wrong behind the network" in found.message


def test_the_build_says_what_the_cpu_does(segmenter: Built) -> None:
    app = segmenter.manifest.apps[0]
    assert app.tail == ("bilinear 8x8", "argmax")
    assert read_manifest(segmenter.folder).apps[0].output.shape == (8, 8)
    network = store.load(segmenter.folder / app.network.path, Network)
    assert list(map(str, network.tail)) == list(app.tail)
    text = (segmenter.folder / "apps" / "app" / "network.txt").read_text()
    assert "return argmax of bilinear 8x8 of %second" in text
    source = (segmenter.folder / "chest" / "src" / "tail_app.c").read_text()
    assert "argmax: 3x8x8 -> 8x8" in source
