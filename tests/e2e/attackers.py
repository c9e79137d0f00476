"""Wires in the hands of an attacker: who sits between two UARTs, and sends what he likes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from synergyc.emulate.board import Board
from synergyc.emulate.peripherals.uart import Frame as UartFrame
from synergyc.emulate.simulation import Simulation
from synergyc.firmware.framing import DELIMITER, GROUP_BYTES, decode_frame, encode_frame

_LOOKAHEAD_PS = 7_000_000
"""Less than the time of a byte at 921.6 kbit/s."""


class Attacker:
    """Takes a packet as a whole and passes on what ``send`` makes of it, without overlaps."""

    def __init__(self, source: Board, uart: str, target: Board, target_uart: str, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._source, self._receiver = source, target.uart(target_uart)
        self._packet = bytearray()
        self._free_ps = 0
        source.uart(uart).on_transmit = self._take

    def send(self, packet: bytes) -> Iterable[bytes]:
        """Return what arrives in place of a packet, which has no delimiter."""
        return [packet]

    def _take(self, frame: UartFrame) -> None:
        value = frame.levels >> 1 & 0xFF
        if value != DELIMITER[0]:
            self._packet.append(value)
        elif self._packet:
            packet = bytes(self._packet)
            self._packet.clear()
            for item in self.send(packet):
                self._deliver(item + DELIMITER * (GROUP_BYTES - len(item) % GROUP_BYTES), frame)
        self._source.chip.timeline.lower_end(frame.end_ps + _LOOKAHEAD_PS)

    def _deliver(self, data: bytes, like: UartFrame) -> None:
        start_ps = max(self._free_ps, like.end_ps)
        for value in data:
            levels = value << 1 | 1 << like.bits - 1
            self._receiver.receive(like._replace(start_ps=start_ps, levels=levels))
            start_ps += like.duration_ps
        self._free_ps = start_ps


_Kind = TypeVar("_Kind", bound=Attacker)


class Replaying(Attacker):
    """Plays recorded packets again, also those of sessions that are over."""

    def __init__(self, source: Board, uart: str, target: Board, target_uart: str, seed: int) -> None:
        super().__init__(source, uart, target, target_uart, seed)
        self._recorded: list[bytes] = []

    def send(self, packet: bytes) -> Iterable[bytes]:
        self._recorded.append(packet)
        again = [self.chance.choice(self._recorded)] if self.chance.random() < 0.3 else []
        return [packet, *again]


class Reordering(Attacker):
    """Holds a packet back until the next one has passed."""

    def __init__(self, source: Board, uart: str, target: Board, target_uart: str, seed: int) -> None:
        super().__init__(source, uart, target, target_uart, seed)
        self._held: list[bytes] = []

    def send(self, packet: bytes) -> Iterable[bytes]:
        if not self._held and self.chance.random() < 0.15:
            self._held.append(packet)
            return []
        held, self._held = self._held, []
        return [packet, *held]


class Forging(Attacker):
    """Changes packets so that their CRC is right, before or in place of the true one."""

    def send(self, packet: bytes) -> Iterable[bytes]:
        frame = decode_frame(packet)
        if frame is None or self.chance.random() > 0.25:
            return [packet]
        payload = bytearray(frame.payload)
        if payload and self.chance.random() < 0.5:
            payload[self.chance.randrange(len(payload))] ^= 1 << self.chance.randrange(8)
            forged = replace(frame, payload=bytes(payload))
        else:
            forged = replace(frame, run=frame.run + 1)
        true = [packet] if self.chance.random() < 0.8 else []
        return [encode_frame(forged).rstrip(DELIMITER), *true]


class Littering(Attacker):
    """Sends random bytes between packets, and now and then at the begin of one, which is lost by that.

    ``litter`` counts what has to be thrown away for its CRC.
    """

    litter = 0

    def send(self, packet: bytes) -> Iterable[bytes]:
        noise = self.chance.randbytes(self.chance.randrange(1, 80))
        draw = self.chance.random()
        if draw < 0.6:
            return [packet]
        sent = [noise + packet] if draw < 0.65 else [packet, noise]
        self.litter += sum(bool(piece) for piece in noise.split(DELIMITER))
        return sent


def attack(simulation: Simulation, ends: dict[str, str], kind: type[_Kind]) -> tuple[_Kind, _Kind]:
    """Put attackers on both directions of a wire; ``ends`` are devices and their UARTs."""
    (one, first), (two, second) = ends.items()
    boards = simulation.boards
    return (
        kind(boards[one], first, boards[two], second, 1),
        kind(boards[two], second, boards[one], first, 2),
    )
