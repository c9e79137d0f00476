"""Energy above idle: what the accelerator, the bus and transceivers take for one run.

Sources of the figures: ``cnn.energy`` of chips, ``send_mw`` and ``receive_mw`` of media; docs/cost-model.md.
"""

from __future__ import annotations

import math

from synergyc.ir.network import Layer, LayerOp
from synergyc.plan.cycles import walk_of
from synergyc.plan.layout import channel_passes
from synergyc.plan.problem import PlanApp, PlanDevice, PlanProblem
from synergyc.targets import Chip


def layer_energy_uj(layer: Layer, chip: Chip) -> float:
    """Return the energy of a layer's arithmetic, beyond what running takes for its time.

    Processors that work x kernels x output pixels, scaled by the width of the weights.
    """
    if layer.op is LayerOp.PASSTHROUGH:
        return 0.0
    walk = walk_of(layer, chip.cnn)
    processors = channel_passes(layer.in_shape[0], chip.cnn)[1]
    pixels = math.prod((walk.out_rows, walk.out_columns))
    work = processors * walk.passes * walk.outputs * pixels * layer.weight_bits / 8
    return work * chip.cnn.energy.mac_pj * 1e-6


def running_energy_uj(infer_us: float, chip: Chip) -> float:
    """Return the energy of the running accelerator for ``infer_us``, without its arithmetic."""
    return infer_us * chip.cnn.energy.running_mw / 1000


def bus_energy_uj(words: float, chip: Chip) -> float:
    """Return the energy of moving 32-bit words between CPU and accelerator."""
    return words * chip.cnn.energy.word_nj / 1000


def idle_mw(problem: PlanProblem, device: PlanDevice) -> float:
    """Return the power of ``device`` while nothing runs: its chip, and transceivers that listen."""
    media = {link.medium.name: link.medium for link in problem.links if device.name in link.ends}
    return device.chip.cnn.energy.idle_mw + sum(medium.listen_mw for medium in media.values())


def wanted_rate_hz(app: PlanApp) -> float:
    """Return the rate at which an app's energy counts: as wanted, else its sensor's, else 1 Hz."""
    return app.wanted_hz or app.rate_hz or 1.0
