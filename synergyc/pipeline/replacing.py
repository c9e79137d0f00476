"""Placing segments again as a build placed them, and making sure that they lie where its images have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from synergyc.diagnostics import fail
from synergyc.ir.network import Network
from synergyc.manifest import DeviceRecord
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.resident import place_resident
from synergyc.targets import Chip


def placed_again(
    networks: Sequence[Network], placements: Sequence[str], chip: Chip
) -> tuple[PlacedNetwork, ...]:
    """Return the networks of a residency set where the build placed them.

    ``placements`` are the digests that the build recorded. Raises SynergyError (``placement-differs``) if
    this version of synergyc places one elsewhere.
    """
    found = place_resident(networks, chip)
    for network, recorded in zip(found, placements, strict=True):
        if network.digest != recorded:
            raise fail(
                "placement-differs",
                f"{network.name} would be placed otherwise than this build has it",
                need=recorded[:12],
                have=network.digest[:12],
                hint="build again with this version of synergyc",
            )
    return found


def placed_segments(
    device: DeviceRecord, networks: Mapping[str, Network], chip: Chip
) -> dict[str, PlacedNetwork]:
    """Return a device's segments, by name, where the build placed them; ``networks`` are those of the apps.

    Raises SynergyError as ``placed_again``.
    """
    found: dict[str, PlacedNetwork] = {}
    in_sets = sorted(device.segments, key=lambda item: item.residency)  # stable: else as they were built
    for _, members in groupby(in_sets, key=lambda item: item.residency):
        segments = list(members)
        parts = [networks[item.app].segment(item.first_layer, item.last_layer) for item in segments]
        placed = placed_again(parts, [item.placement for item in segments], chip)
        found |= zip((item.name for item in segments), placed, strict=True)
    return found
