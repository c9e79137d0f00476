"""The cost model beside what was measured on silicon and published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from synergyc.ir.network import Network
from synergyc.plan.cost import CostModel, weight_bytes
from synergyc.plan.layout import WORD_BYTES
from synergyc.plan.problem import PlanApp, PlanDevice, PlanProblem
from synergyc.plan.space import Candidate
from synergyc.report.bench import markdown_table
from synergyc.targets import load_chip

_README = "vendor's example README"
_AN7664 = "AN7664 table 4, figures 10, 11"

# Chip, what, network, measured value.
_MEASURED = (
    ("max78000", "infer ms", "convnet5", 1.41, _README),
    ("max78000", "infer ms", "kws", 1.442, _README),
    ("max78000", "infer ms", "simplenet", 2.593, _README),
    ("max78002", "infer ms", "convnet5", 0.4143, _AN7664),
    ("max78002", "infer ms", "kws", 0.40, _AN7664 + "; rounded, figure 11 gives 0.42"),
    ("max78002", "infer ms", "simplenet", 0.9221, _AN7664),
    ("max78002", "infer ms", "ressimplenet", 1.0221, _AN7664),
    ("max78002", "infer ms", "widenet", 1.2225, _AN7664),
    ("max78002", "infer ms", "unet", 8.6, _AN7664),
    ("max78002", "infer ms", "efficientnetv2", 11.6224, _AN7664),
    ("max78002", "infer ms", "mobilenetv2", 3.53, _AN7664),
    ("max78002", "load ms", "convnet5", 0.053, _AN7664),
    ("max78002", "load ms", "simplenet", 0.278, _AN7664),
    ("max78002", "load ms", "kws", 1.1, _AN7664),
    ("max78002", "load ms", "unet", 7.8, _AN7664),
    ("max78002", "weights ms", "convnet5", 5.0, _AN7664),
    ("max78002", "weights ms", "kws", 10.9, _AN7664),
    ("max78002", "weights ms", "simplenet", 11.8, _AN7664),
    ("max78002", "weights ms", "unet", 20.1, _AN7664),
    ("max78002", "weights ms", "widenet", 22.1, _AN7664),
    ("max78002", "weights ms", "ressimplenet", 27.0, _AN7664),
    ("max78002", "weights ms", "efficientnetv2", 53.8, _AN7664),
    ("max78002", "weights ms", "mobilenetv2", 96.6, _AN7664),
    ("max78002", "infer uJ", "convnet5", 99.0, _AN7664),
    ("max78002", "infer uJ", "kws", 149.0, _AN7664),
    ("max78002", "infer uJ", "simplenet", 178.0, _AN7664),
    ("max78002", "infer uJ", "ressimplenet", 223.0, _AN7664),
    ("max78002", "infer uJ", "widenet", 265.0, _AN7664),
    ("max78002", "infer uJ", "unet", 2722.0, _AN7664),
    ("max78002", "infer uJ", "efficientnetv2", 5965.0, _AN7664),
    ("max78002", "infer uJ", "mobilenetv2", 1239.0, _AN7664),
)


@dataclass(frozen=True)
class Measurement:
    """A published value and the cost model's."""

    chip: str
    what: str
    network: str
    value: float
    model: float
    source: str

    @property
    def error(self) -> float:
        """Relative error of the model."""
        return self.model / self.value - 1


def compare_with_measurements(networks: Callable[[str, str], Network]) -> tuple[Measurement, ...]:
    """Return every measurement with the model's value; ``networks`` gives a network's form for a chip."""
    return tuple(
        Measurement(chip, what, name, value, _model(networks(name, chip), chip, what), source)
        for chip, what, name, value, source in _MEASURED
    )


def measurements_markdown(found: Sequence[Measurement]) -> str:
    """Return the page ``docs/measurements.md``."""
    columns = ("chip", "what", "network", "measured", "model", "error", "source")
    rows = [
        (item.chip, item.what, item.network, item.value, item.model, f"{item.error:+.1%}", item.source)
        for item in found
    ]
    largest: dict[tuple[str, str], float] = {}
    for item in found:
        key = (item.chip, item.what)
        largest[key] = max(largest.get(key, 0.0), abs(item.error))
    worst = [(*key, f"{error:.1%}") for key, error in largest.items()]
    return "\n".join(
        [
            "# Cost model against published measurements",
            "",
            "Made by `synergyc bench cost -o docs/measurements.md`; a test keeps it current.",
            "`infer`: from start to interrupt; `load`: the input; `weights`: all weights; vendor's clocks.",
            "No loading times of MAX78000 are published: its figures scale the other chip's by CPU clock.",
            "Energy is above idle, at 1.0 V; its two-term fit is the coarsest part of the model.",
            "",
            markdown_table(("chip", "what", "largest error"), worst),
            markdown_table(columns, rows),
        ]
    )


def _model(network: Network, chip: str, what: str) -> float:
    """Return ``what`` of one run; inference includes the start, whose overhead the measured times hold."""
    data = load_chip(chip)
    app = PlanApp("app", "any", "any")
    problem = PlanProblem((PlanDevice("d", data, ("any",), ("any",)),), (), (app,))
    cost = CostModel(problem, app, network)
    work = {
        item.task: item
        for item in cost.cost(Candidate("app", "d", "d", ("d",), (), len(network.layers))).work
    }
    if what == "load ms":
        # Measured networks whose input has one channel pack four pixels of it into a word.
        size_bytes = sum(tensor.size_bytes for tensor in network.inputs)
        return (
            size_bytes / WORD_BYTES * data.cnn.timing.word_ns * 1e-6
            if network.inputs[0].shape[0] == 1
            else (work["load"].duration_us / 1000)
        )
    if what == "weights ms":
        return weight_bytes(network.layers) * data.cnn.timing.weight_byte_ns * 1e-6
    if what == "infer uJ":
        return work["infer"].energy_uj
    return (work["infer"].duration_us + work["start"].duration_us) / 1000
