"""What one device's firmware consists of: links, queues, and the tasks between them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from synergyc.ir.network import Tensor
from synergyc.ir.preparation import Preparation
from synergyc.ir.tail import Stage
from synergyc.synth.program import Program, Step, TensorLayout
from synergyc.targets import Board, Chip, Medium


class Port(StrEnum):
    """What drives the chip's peripherals: our own code, or the drivers of the vendor's SDK."""

    BAREMETAL = "baremetal"
    MSDK = "msdk"


@dataclass(frozen=True)
class Wire:
    """A link of the system as the firmware sees it; ``ends`` are two devices, or all that share a channel."""

    name: str
    ends: tuple[str, ...]
    medium: Medium
    rate_kbps: float
    secure: bool = False


@dataclass(frozen=True)
class Link:
    """This device's end of a link to one peer: which UART drives it, and how.

    ``channel`` is the system's link; one that several devices share holds a link for each peer. Frames name
    devices by ``own_number`` and ``peer_number``.
    """

    name: str
    channel: str
    peer: str
    own_number: int
    peer_number: int
    uart: str
    rate_bd: int
    payload_bytes: int
    bits_per_byte: int
    shared: bool = False
    streams: int = 1
    """Hand-offs of one plan that share the channel, of whatever devices."""
    key: str | None = None
    """Name of the key that secures it, the same one at both ends; None: frames are in the clear."""


class Storage(StrEnum):
    """Where the tensors of a queue are; only ``RAM`` takes memory of its own."""

    RAM = "RAM"
    FLASH = "flash"
    """They are samples."""
    LANES = "lanes"
    """A result of a replica stays in the queue that it came in."""
    ACCELERATOR = "accelerator"
    """One result stays where the inference wrote it, and no other one starts before its reader is done."""


@dataclass(frozen=True)
class Queue:
    """Up to ``depth`` tensors between two tasks, each of ``words`` 32-bit words."""

    name: str
    words: int
    depth: int
    storage: Storage
    comment: str

    @property
    def ram_bytes(self) -> int:
        """Memory that the tensors take."""
        return 4 * self.words * self.depth if self.storage is Storage.RAM else 0


@dataclass(frozen=True, eq=False)
class Sense:
    """A sensor: puts samples into a queue, each as words of ``layout``; of replicas into ``queues`` in turn.

    ``driver`` names the file that gives them: ``replay`` (the packed ``samples`` in flash), ``host`` (asked
    for over the console), or one of the user's own, whose text is ``driver_text``. ``rate_hz`` None: as fast
    as they are taken.
    """

    app: str
    queues: tuple[str, ...]
    layout: TensorLayout
    samples: tuple[tuple[int, ...], ...]
    rate_hz: float | None = None
    driver: str = "replay"
    driver_text: str | None = None
    preparation: Preparation | None = None
    """From the sensor's own shape to the layout's tensor; None: they are the same."""


@dataclass(frozen=True)
class KnownAnswer:
    """For a device's self-test: words of a segment's input, and the CRC-32 of the words of its output."""

    input: tuple[int, ...]
    output_crc: int


@dataclass(frozen=True)
class Placed:
    """A tensor in a queue: its layout, and the word at which it begins among the queue's words."""

    layout: TensorLayout
    first_word: int


@dataclass(frozen=True)
class Passed:
    """Words that a segment hands on unchanged: where they begin in its source and in its target queue."""

    source_word: int
    target_word: int
    words: int


@dataclass(frozen=True)
class Infer:
    """One segment: takes its ``inputs`` from a queue, puts its ``outputs`` into another one.

    What it does not read but a later segment does is ``passed`` from one queue to the other. ``select`` is
    what a run needs after one of another segment (``synth.switch``). Of segments that are ready the one of
    the highest ``priority`` runs. Segments with one number ``residency`` are in the accelerator's memories
    together; for a run of another one its whole set is loaded from flash. The first set is loaded at boot.
    """

    app: str
    program: Program
    source: str
    target: str
    inputs: tuple[Placed, ...]
    outputs: tuple[Placed, ...]
    passed: tuple[Passed, ...] = ()
    select: tuple[Step, ...] = ()
    priority: int = 0
    residency: int = 0
    known: KnownAnswer | None = None


@dataclass(frozen=True)
class Send:
    """The near end of a hand-off: what is in the queue goes over the link. ``number`` names it in frames."""

    app: str
    number: int
    link: str
    peer: str
    queue: str


@dataclass(frozen=True)
class Receive:
    """The far end of a hand-off."""

    app: str
    number: int
    link: str
    peer: str
    queue: str


@dataclass(frozen=True)
class Merge:
    """The far end of replicas: results in ``queues`` go on to ``target`` in the order of their runs.

    A run that is missing is waited for no longer than ``wait_us``.
    """

    app: str
    queues: tuple[str, ...]
    target: str
    wait_us: float


@dataclass(frozen=True)
class TailTask:
    """The CPU's work behind a network: takes outputs from one queue, puts results into another.

    ``layout`` tells how to read outputs; a ``result`` is one word for each value, in C order.
    """

    app: str
    source: str
    target: str
    layout: TensorLayout
    stages: tuple[Stage, ...]
    result: Tensor


@dataclass(frozen=True)
class Interact:
    """Reports what is in the queue as an app's result; ``layouts`` tell how to read it."""

    app: str
    queue: str
    layouts: tuple[TensorLayout, ...]


@dataclass(frozen=True)
class PlanTasks:
    """What a device does under one of several plans; ``number`` 0 is the chosen plan, for all devices."""

    number: int = 0
    queues: tuple[Queue, ...] = ()
    senses: tuple[Sense, ...] = ()
    infers: tuple[Infer, ...] = ()
    sends: tuple[Send, ...] = ()
    receives: tuple[Receive, ...] = ()
    merges: tuple[Merge, ...] = ()
    tails: tuple[TailTask, ...] = ()
    interacts: tuple[Interact, ...] = ()

    def queue(self, name: str) -> Queue:
        """Return the queue called ``name``; raises KeyError."""
        return {queue.name: queue for queue in self.queues}[name]


@dataclass(frozen=True)
class PlanCase:
    """Plan number ``plan`` is for when all of ``devices`` are there."""

    devices: tuple[str, ...]
    plan: int


@dataclass(frozen=True)
class Group:
    """Devices that hear of each other, and which plan they follow: the first case whose devices are there.

    ``devices`` are all of the build, by their number in frames.
    """

    devices: tuple[str, ...]
    cases: tuple[PlanCase, ...]


@dataclass(frozen=True, kw_only=True)
class FirmwareSpec(PlanTasks):
    """Everything that is rendered for one device. ``run_limit`` 0: runs without end.

    Tasks are those of the chosen plan; ``fallbacks`` are those of the other plans that ``group`` may follow.
    """

    device: str
    board: Board
    chip: Chip
    plan_id: int
    run_limit: int
    links: tuple[Link, ...]
    fallbacks: tuple[PlanTasks, ...] = ()
    group: Group | None = None

    @property
    def plans(self) -> tuple[PlanTasks, ...]:
        """Tasks under each plan of the image, the chosen one first."""
        return (self, *self.fallbacks)

    def tasks(self, number: int) -> PlanTasks:
        """Return the device's tasks alone, as those of plan ``number``."""
        found = {item.name: getattr(self, item.name) for item in fields(PlanTasks)}
        return PlanTasks(**found | {"number": number})

    @property
    def all_tails(self) -> tuple[TailTask, ...]:
        """The tail of each app that the device interacts for under any plan."""
        found: dict[str, TailTask] = {}
        for plan in self.plans:
            for tail in plan.tails:
                found.setdefault(tail.app, tail)
        return tuple(found.values())

    @property
    def all_senses(self) -> tuple[Sense, ...]:
        """One sensor for each app that the device senses under any plan."""
        found: dict[str, Sense] = {}
        for plan in self.plans:
            for sense in plan.senses:
                found.setdefault(sense.app, sense)
        return tuple(found.values())
