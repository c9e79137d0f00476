"""Sizes and times of a device's firmware that follow from its links and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from synergyc.firmware.framing import encoded_bytes
from synergyc.firmware.spec import FirmwareSpec, Link, Queue, Receive, Send, Storage
from synergyc.firmware.tail_view import scratch_values
from synergyc.targets import load_runtime, transfer_us
from synergyc.toolchain import Sizes

_PLAN_RAM_BYTES = 768
"""What each further plan takes of RAM beside tensors."""

SETTLE_US = 100_000
"""For so long a device must be away, after it counts as lost, before another plan comes into force."""
RETURN_US = 500_000
"""For so long it must be back: the plan without it serves meanwhile."""

_SMALLEST_RING_BYTES = 512
_FRAMES_OUT = 2
"""Full frames that a sending buffer holds, besides answers: the main loop may be away for one."""
_FRAMES_IN = 3

_BEATS = 10
"""So many beats in a row must be lost before a peer counts as lost: one in 10^10 at 10 % loss."""

_HOST_PAYLOAD_BYTES = 512
"""Piece of a sample that a host is asked for: the answer to one line takes twelve times the line's time."""


def frame_payload_bytes(spec: FirmwareSpec) -> int:
    """Return the largest payload of a frame on any of the device's links."""
    return max((link.payload_bytes for link in spec.links), default=0)


def host_payload_bytes(spec: FirmwareSpec) -> int:
    """Return the largest payload of a frame that a host sends over the console."""
    return _HOST_PAYLOAD_BYTES if any(sense.driver == "host" for sense in spec.all_senses) else 0


def seal_bytes(spec: FirmwareSpec) -> int:
    """Return what frames need for sealing on any of the device's links."""
    return max((_seal_bytes(link) for link in spec.links), default=0)


def _seal_bytes(link: Link) -> int:
    return load_runtime().seal.overhead_bytes if link.key else 0


def _frame_bytes(link: Link) -> int:
    """Return what a full fragment takes on the line."""
    return encoded_bytes(link.payload_bytes + _seal_bytes(link))


def own_sizes(spec: FirmwareSpec, sizes: Sizes) -> Sizes:
    """Return what an image of ``sizes`` takes beside weights and samples in flash, and tensors in RAM.

    Programs and samples that several plans share are there once, as is the memory of their tensors.
    """
    infers = [infer for plan in spec.plans for infer in plan.infers]
    programs = {infer.program.name: infer.program for infer in infers}
    words = sum(program.weight_words for program in programs.values())
    words += sum(len(sample) for sense in spec.all_senses for sample in sense.samples)
    words += sum(len(infer.known.input) for infer in infers if infer.known is not None)
    tensors_bytes = max(sum(queue.ram_bytes for queue in plan.queues) for plan in spec.plans)
    return Sizes(sizes.flash_bytes - 4 * words, sizes.ram_bytes - tensors_bytes)


@dataclass(frozen=True)
class Rings:
    """Sizes of a UART's buffers, powers of two."""

    out_bytes: int
    in_bytes: int


def rings(spec: FirmwareSpec) -> tuple[Rings, ...]:
    """Return the buffers of each UART in the order of ``uarts``."""
    in_bytes = load_runtime().console_in_bytes
    if host_payload_bytes(spec):  # one piece is under way at a time
        in_bytes = _power_of_two(encoded_bytes(host_payload_bytes(spec)))
    console = Rings(load_runtime().console_ring_bytes, in_bytes)
    return (console, *(_link_rings(spec, uart) for uart in uarts(spec)[1:]))


def _link_rings(spec: FirmwareSpec, uart: str) -> Rings:
    links = [link for link in spec.links if link.uart == uart]
    frame_bytes = max(_frame_bytes(link) for link in links)
    answers_bytes = 4 * encoded_bytes(seal_bytes(spec))
    return Rings(
        _power_of_two(_FRAMES_OUT * frame_bytes + answers_bytes), _power_of_two(_FRAMES_IN * frame_bytes)
    )


def _power_of_two(least: int) -> int:
    return max(_SMALLEST_RING_BYTES, 1 << (least - 1).bit_length())


def uarts(spec: FirmwareSpec) -> tuple[str, ...]:
    """Return the UARTs in use; a UART's number in the firmware is its place here. The console is first."""
    return (spec.board.console_uart, *dict.fromkeys(link.uart for link in spec.links))


def answer_us(link: Link) -> float:
    """Return how long a sender waits for an answer: what is before it on the way, and a peer that is busy.

    That is a full sending buffer in both directions; on a shared channel the windows of all its streams,
    which wait in the modules. If the time-out were shorter, a busy channel would be filled with frames that
    are sent again although they were not lost.
    """
    runtime = load_runtime()
    frame_us = transfer_us(_frame_bytes(link), link.rate_bd / 1000, link.bits_per_byte)
    frames = max(runtime.answer_wait_frames, runtime.window_frames * link.streams if link.shared else 0)
    return frames * frame_us + runtime.peer_busy_us


def beat_us(link: Link) -> float:
    """Return how often a silent device shows that it lives."""
    return max(load_runtime().beat_us, answer_us(link))


def lost_us(link: Link) -> float:
    """Return after how long a silence a peer counts as lost."""
    return _BEATS * beat_us(link)


def answer_every(link: Link) -> int:
    """Return how many fragments one acknowledgement may answer."""
    return load_runtime().channel_answer_frames if link.shared else 1


def low_credit(link: Link) -> int:
    """Return the room, in fragments, below which a receiver tells of more at once."""
    return load_runtime().channel_answer_frames if link.shared else load_runtime().window_frames


def with_depths(spec: FirmwareSpec, plans: int = 1) -> FirmwareSpec:
    """Return ``spec`` with queues shortened, the largest first, to one tensor if need be, until they fit RAM.

    Where even that is too much results stay in the accelerator, which then waits for their readers. If that
    does not help either the linker finds out, and says what is needed. ``plans``: how many the image holds.
    """
    spec = _deeper_channel_queues(spec)
    usual = [queue for queue in spec.queues if queue.storage is Storage.RAM]
    spec = _deeper_set_queues(spec)
    available = queue_room_bytes(spec, plans)
    shortened = [replace(queue, depth=1) for queue in spec.queues if queue.storage is Storage.RAM]
    kept = [replace(queue, storage=Storage.ACCELERATOR) for queue in shortened if may_stay(spec, queue)]
    queues = {queue.name: queue for queue in spec.queues}
    for smaller in (*_largest_first(usual), *_largest_first(shortened), *_largest_first(kept)):
        if sum(queue.ram_bytes for queue in queues.values()) <= available:
            break
        queues[smaller.name] = smaller
    return replace(spec, queues=tuple(queues.values()))


def queue_room_bytes(spec: FirmwareSpec, plans: int = 1) -> int:
    """Return the RAM that is left to tensors on a device whose image holds so many plans."""
    buffers = sum(ring.out_bytes + ring.in_bytes for ring in rings(spec))
    buffers += 4 * sum(sum(scratch_values(task.stages)) for task in spec.all_tails)
    runtime = load_runtime()
    other_bytes = runtime.stack_bytes + runtime.other_ram_bytes + (plans - 1) * _PLAN_RAM_BYTES
    return spec.chip.sram.size_bytes - other_bytes - buffers


def may_stay(spec: FirmwareSpec, queue: Queue) -> bool:
    """Return whether a queue's tensors may stay in the accelerator: an inference's results for a console.

    A console takes them whatever happens. A peer may wait for this very accelerator, so what is sent may not
    stay; nor can what the accelerator never had, and is only passed on.
    """
    written = any(infer.target == queue.name and not infer.passed for infer in spec.infers)
    return written and any(interact.queue == queue.name for interact in spec.interacts)


def _largest_first(queues: Sequence[Queue]) -> list[Queue]:
    return sorted(queues, key=lambda queue: (-queue.words, queue.name))


def _deeper_set_queues(spec: FirmwareSpec) -> FirmwareSpec:
    """Let queues around segments of several residency sets hold the runs of a set before the next is loaded.

    Samples of this device's own sensors are taken as they are needed.
    """
    if len({infer.residency for infer in spec.infers}) < 2:
        return spec
    sensed = {name for sense in spec.senses for name in sense.queues}
    around = {name for infer in spec.infers for name in (infer.source, infer.target)} - sensed
    return replace(
        spec,
        queues=tuple(
            replace(queue, depth=max(queue.depth, load_runtime().set_runs)) if queue.name in around else queue
            for queue in spec.queues
        ),
    )


def _deeper_channel_queues(spec: FirmwareSpec) -> FirmwareSpec:
    """Let queues at a shared channel hold some fragments, so that one acknowledgement answers several."""
    ends: tuple[Send | Receive, ...] = (*spec.sends, *spec.receives)
    payload_bytes = {
        end.queue: link.payload_bytes
        for end in ends
        for link in spec.links
        if link.shared and (link.channel, link.peer) == (end.link, end.peer)
    }
    queues = []
    for queue in spec.queues:
        if queue.name in payload_bytes:
            fragments = -(-4 * queue.words // payload_bytes[queue.name])
            queue = replace(queue, depth=max(queue.depth, -(-load_runtime().window_frames // fragments)))
        queues.append(queue)
    return replace(spec, queues=tuple(queues))
