"""Where emulated devices leave the integer reference: a wrong run again, compared layer by layer.

The run is repeated alone, on boards whose accelerators keep what every layer computed. The emulator knows no
networks: which layer is which is told here, by placing the build's networks again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from synergyc import reference
from synergyc.emulate.accelerator import Accelerator
from synergyc.emulate.accelerator.network import LayerRun
from synergyc.ir.types import Array
from synergyc.manifest import Manifest
from synergyc.pipeline.expectation import Expected
from synergyc.pipeline.layer_difference import Difference, OtherLayerError, first_difference
from synergyc.pipeline.replacing import placed_segments
from synergyc.pipeline.run import RunOptions, Session
from synergyc.report.outcome import AppOutcome, FirstDifference, RunOutcome
from synergyc.synth.placed import PlacedNetwork
from synergyc.targets import Chip, Cnn, load_chip

LayerRuns = tuple[LayerRun, ...]


def located(
    folder: Path,
    manifest: Manifest,
    options: RunOptions,
    expected: Mapping[str, Expected],
    outcome: RunOutcome,
) -> RunOutcome:
    """Return ``outcome`` with the first layer that differs, for each app with a wrong result."""
    return replace(
        outcome, apps=tuple(_located(folder, manifest, options, expected, app) for app in outcome.apps)
    )


def _located(
    folder: Path,
    manifest: Manifest,
    options: RunOptions,
    expected: Mapping[str, Expected],
    app: AppOutcome,
) -> AppOutcome:
    if app.wrong_run is None:
        return app
    alone = {name: _sample_of(item, app.wrong_run) for name, item in expected.items()}
    recorders = {device.name: _Recorder(load_chip(device.chip).cnn) for device in manifest.devices}
    record = next(item for item in manifest.apps if item.name == app.name)
    # each replica gets the sample once
    again = RunOptions(runs=max(1, len(record.replicas)), sequential=True, keys=options.keys)
    session = Session(folder, manifest, again, alone, lambda _: None, recorders)
    session.run()
    tensors = _tensors(alone[app.name])
    found = next(_differences(manifest, app.name, alone, recorders, tensors), None)
    if found is None:
        repeated = next(item for item in session.outcome().apps if item.name == app.name)
        found = FirstDifference(
            app.wrong_run,
            "no layer differs: the result is wrong behind the network"
            if repeated.wrong
            else "alone and undisturbed it is right",
        )
    return replace(app, first_difference=replace(found, run=app.wrong_run))


class _Recorder(Accelerator):
    """An accelerator that keeps what the layers of every run computed."""

    def __init__(self, cnn: Cnn) -> None:
        super().__init__(cnn)
        self.runs: list[LayerRuns] = []

    def finish(self) -> None:
        """Compute the run's results, and keep those of its layers."""
        super().finish()
        self.runs.append(self.layers)


def _sample_of(expected: Expected, run: int) -> Expected:
    """Return what a single run with the sample of ``run`` must deliver."""
    index = expected.index(run)
    return replace(
        expected,
        sensed=expected.sensed[index : index + 1],
        samples=expected.samples[index : index + 1],
        outputs=expected.outputs[index : index + 1],
        labels=None,
        own_input=True,
    )


def _tensors(expected: Expected) -> dict[str, Array]:
    """Return every tensor of the network for its only sample, without batch axis."""
    name = expected.network.inputs[0].name
    values = reference.run_layers(expected.network, {name: expected.samples})
    return {key: value[0] for key, value in values.items()}


def _differences(
    manifest: Manifest,
    app: str,
    expected: Mapping[str, Expected],
    recorders: Mapping[str, _Recorder],
    tensors: Mapping[str, Array],
) -> Iterator[FirstDifference]:
    """Yield the segments of ``app`` that differ, in order, each with its first layer that does."""
    networks = {name: item.network for name, item in expected.items()}
    order = [record.name for record in manifest.apps]
    parts = [
        (segment, device) for device in manifest.devices for segment in device.segments if segment.app == app
    ]
    for segment, device in sorted(parts, key=lambda part: part[0].first_layer):
        chip = load_chip(device.chip)
        # the apps run one after the other, and an app's segments in order, after the self-test of all
        turns = sorted(device.segments, key=lambda item: (order.index(item.app), item.first_layer))
        run = recorders[device.name].runs[-len(turns) :][turns.index(segment)]
        placed = placed_segments(device, networks, chip)[segment.name]
        difference = _compared(placed, run, tensors, chip)
        if difference is not None:
            layer, what = difference
            yield FirstDifference(0, f"{layer} on {device.name}: {what}", layer, device.name, segment.name)


def _compared(
    placed: PlacedNetwork, run: LayerRuns, tensors: Mapping[str, Array], chip: Chip
) -> tuple[str, str] | None:
    """Return the name of the first layer that differs, and how; None if all agree."""
    ran = {layer.number: layer for layer in run}
    for layer in placed.layers:
        name, expected = layer.layer.name, tensors.get(layer.layer.output.name)
        if expected is None:
            continue  # a part of a layer that the network does not know
        if layer.hardware_layer not in ran:
            return name, f"hardware layer {layer.hardware_layer} did not run"
        try:
            found: Difference | None = first_difference(
                layer, ran[layer.hardware_layer].output, expected, chip
            )
        except OtherLayerError as error:
            return name, f"hardware layer {layer.hardware_layer} {error}"
        if found is not None:
            return name, str(found)
    return None
