"""Hand-offs as the link protocol carries them (docs/link-protocol.md), played for the schedule.

A sender keeps at most a window of fragments under way, and none beyond the room that its peer announced. A
tensor leaves the sender's queue when all its fragments are acknowledged. The receiver answers every fragment
on a wire, every few on a shared channel, and tells of room again when its queue is emptied. Answers take the
line the other way, which for small tensors is what limits a link.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from synergyc.plan.device import Device, Process, Queue, Run
from synergyc.plan.fragments import Fragments, fragments_of, longest_frame_bytes
from synergyc.plan.line import READ_BYTES, Frame, Line, Reception
from synergyc.plan.types import HandOff
from synergyc.plan.uart import Uart
from synergyc.targets import Medium, Runtime

_CIPHER_BLOCK_BYTES = 64
"""Of ChaCha20 (RFC 8439)."""


class Hello(Enum):
    """What brings a link up: each end, of a secured link one, says hello until the other one has answered.

    On a secured link the other end wishes to be called, and is sure of its peer by the proof.
    """

    HELLO = "hello"
    ANSWER = "answer"
    WISH = "wish"
    PROOF = "proof"


@dataclass
class Sender:
    """The sending end of a hand-off."""

    receiver: Receiver
    queue: Queue
    fragments: Fragments
    window: int
    next: int = 0
    base: int = 0
    limit: int = 0
    retired: int = 0
    """Tensors that were acknowledged to their end."""

    @property
    def has_more(self) -> bool:
        """Whether a fragment may be sent."""
        if self.next - self.base >= self.window or self.next >= self.limit:
            return False
        return self.next // self.fragments.parts - self.retired < len(self.queue.items)

    def acknowledge(self, base: int, limit: int) -> None:
        """Take an answer of the receiver."""
        self.base, self.limit = max(self.base, base), max(self.limit, limit)
        while (self.retired + 1) * self.fragments.parts <= self.base:
            self.retired += 1
            self.queue.pop()


@dataclass
class Receiver:
    """The receiving end of a hand-off; its sender is set when both are there."""

    device: Device
    queue: Queue
    fragments: Fragments
    answer_every: int
    low_credit: int
    answer_wait_us: float
    """An answer waits for more fragments no longer."""
    who: Run
    sender: Sender | None = None
    base: int = 0
    limit: int = 0
    unanswered: int = 0
    unanswered_us: float = 0.0
    answer_due: bool = True
    """At first: the sender is told of the room."""

    def take(self, who: Run) -> None:
        """Take the next fragment."""
        self.who = who
        self.base += 1
        self.unanswered += 1
        if self.unanswered == 1:
            self.unanswered_us = self.device.clock.now_us
            if self.answer_every > 1:
                self.device.wake_at(self.device.clock.now_us + self.answer_wait_us)
        self.answer_due = self.answer_due or self.unanswered >= self.answer_every
        if self.base % self.fragments.parts == 0:
            self.queue.push(who[1])

    @property
    def room(self) -> int:
        """Up to which fragment there is room."""
        return (self.base // self.fragments.parts + self.queue.room) * self.fragments.parts

    @property
    def must_answer(self) -> bool:
        """Whether an answer is due, also because a sender may wait for room."""
        if self.answer_due or (self.unanswered and self._waited_us >= self.answer_wait_us):
            return True
        return self.limit - self.base < self.low_credit and self.room != self.limit

    @property
    def _waited_us(self) -> float:
        return self.device.clock.now_us - self.unanswered_us

    def answered(self) -> tuple[int, int]:
        """Note that an answer is sent; return what it says."""
        self.limit, self.unanswered, self.answer_due = self.room, 0, False
        return self.base, self.limit


@dataclass
class Link:
    """One end of a link between two devices: what it sends and receives, and whether it is up."""

    device: Device
    peer: str
    senders: list[Sender] = field(default_factory=list)
    receivers: list[Receiver] = field(default_factory=list)
    knows_peer: bool = False
    is_known: bool = False
    said_hello: bool = False
    hello_us: float = 0.0
    repeat_us: float = math.inf
    """A hello is said again after this time."""
    secure: bool = False
    wish_us: float = 0.0
    """When an end of a secured link that was not called by then wishes to be."""
    was_called: bool = False
    next_sender: int = 0

    @property
    def is_up(self) -> bool:
        """Whether both ends know each other."""
        return self.knows_peer and self.is_known

    @property
    def calls(self) -> bool:
        """Whether this end says hello: of a secured link the one whose name comes first."""
        return not self.secure or self.device.name < self.peer

    @property
    def hello_due(self) -> bool:
        """Whether it is time to say hello, or to wish for one that has not come."""
        if self.is_known or (self.said_hello and not self._is_overdue):
            return False
        return self.calls or (not self.was_called and self.device.clock.now_us >= self.wish_us)

    @property
    def _is_overdue(self) -> bool:
        return self.device.clock.now_us - self.hello_us >= self.repeat_us


class LinkTask:
    """A UART's turn in the main loop: frames that came, answers, fragments (templates/firmware/link.c)."""

    def __init__(self, device: Device, line: Line, uart: Uart, medium: Medium, runtime: Runtime) -> None:
        self.device, self.line, self.uart = device, line, uart
        self.links: list[Link] = []
        self.reception = Reception(device.clock, self._on_frame)
        line.join(device.name, self.reception)
        self._runtime, self._is_secured = runtime, medium.seal is not None
        self._overhead = medium.frame_overhead_bytes - medium.air_overhead_bytes
        reserve = runtime.answer_reserve_frames * (self._overhead + runtime.group_bytes - 1)
        self._room = longest_frame_bytes(medium, runtime) + reserve

    def open(self) -> None:
        """Open the UART: from now on frames are received."""
        self.reception.is_open = True
        for link in self.links:
            link.wish_us = self.device.clock.now_us + self._runtime.call_us
            if not link.calls:
                self.device.wake_at(link.wish_us)

    is_polled = True

    def look(self) -> float:
        """Return what a look costs, which takes what is here of a frame that is still coming."""
        count = 0 if self.reception.unread else self.reception.read(READ_BYTES)[0]
        return self._look_cycles + self._decoding(count)

    @cached_property
    def _look_cycles(self) -> float:
        """What a look in vain costs, once all streams are there."""
        ends = sum(len(link.senders) + len(link.receivers) for link in self.links)
        return self._runtime.loop.uart_look + ends * self._runtime.loop.stream_look

    def interrupted_us(self, begin_us: float, end_us: float) -> float:
        """Return the time of the CPU that went into interrupts for bytes that came within a time."""
        return self.device.us(self._runtime.loop.interrupt_byte * self.reception.came(begin_us, end_us))

    @property
    def is_ready(self) -> bool:
        """Whether there is something to do."""
        return self.reception.unread or any(self._has_work(link) for link in self.links)

    def _has_work(self, link: Link) -> bool:
        """Whether there is something to send, and room for it in the UART's ring."""
        if not link.is_up:
            return link.hello_due
        return any(map(self._may_answer, link.receivers)) or any(map(self._may_send, link.senders))

    def _may_answer(self, receiver: Receiver) -> bool:
        return receiver.must_answer and self.uart.room >= receiver.fragments.answer_bytes

    def _may_send(self, sender: Sender) -> bool:
        return sender.has_more and self.uart.room >= sender.fragments.group * self._room

    def work(self) -> Process:
        """Do everything that can be done at once."""
        count, frames = self.reception.read(READ_BYTES)
        self.device.idle(self._decoding(count))
        for frame in frames:
            is_answer, loop = frame.task == "answer", self._runtime.loop
            cycles = frame.count * loop.check_byte + (loop.answer if is_answer else loop.frame)
            cycles += self._sealing(frame.count, 1)
            yield from self.device.spend(cycles, "send" if is_answer else "receive", frame.who)
            yield from self._take(frame)
        for link in self.links:
            yield from self._serve(link)

    def _take(self, frame: Frame) -> Process:
        link = next((item for item in self.links if item.peer == frame.source), None)
        content = frame.content
        if frame.target != self.device.name or link is None:
            return
        if isinstance(content, Hello):
            yield from self._greet(link, content)
        else:
            link.is_known = True
            link.knows_peer = link.knows_peer or link.secure
            receiver, answer = content
            if answer is None:
                receiver.take(frame.who)
            else:
                receiver.sender.acknowledge(*answer)

    def _greet(self, link: Link, content: Hello) -> Process:
        if content is Hello.HELLO:
            link.was_called = True
            if not link.secure and not link.knows_peer:  # a new session, whatever was answered before
                link.knows_peer, link.is_known, link.said_hello = True, False, False
            yield from self._say(link, Hello.ANSWER)
        elif content is Hello.WISH:
            link.said_hello = link.is_up
        else:
            link.is_known = True
            link.knows_peer = link.knows_peer or link.secure
            if link.secure and content is Hello.ANSWER:
                yield from self._say(link, Hello.PROOF)

    def _serve(self, link: Link) -> Process:
        if link.hello_due:
            link.said_hello, link.hello_us = True, self.device.clock.now_us
            if link.repeat_us < math.inf:
                self.device.wake_at(link.hello_us + link.repeat_us)
            yield from self._say(link, Hello.HELLO if link.calls else Hello.WISH)
        if not link.is_up:
            return
        for receiver in link.receivers:
            if self._may_answer(receiver):
                yield from self._answer(link, receiver)
        count, first = len(link.senders), link.next_sender
        for i in range(count):
            at = (first + i) % count
            if self._may_send(link.senders[at]):
                link.next_sender = at + 1
                yield from self._send(link, link.senders[at])

    def _send(self, link: Link, sender: Sender) -> Process:
        fragments = sender.fragments
        run = sender.queue.items[sender.next // fragments.parts - sender.retired]
        who = (sender.receiver.who[0], run)
        part = sender.next % fragments.parts
        count = fragments.part_bytes(part)
        yield from self.device.spend(self._coding(count, fragments.frames(part)), "send", who)
        sender.next += 1
        self._put(link, count, "transfer", who, (sender.receiver, None))

    def _answer(self, link: Link, receiver: Receiver) -> Process:
        fragments = receiver.fragments
        cycles = self._coding(fragments.answer_bytes, fragments.group)
        yield from self.device.spend(cycles, "receive", receiver.who)
        self._put(link, fragments.answer_bytes, "answer", receiver.who, (receiver, receiver.answered()))

    def _say(self, link: Link, what: Hello) -> Process:
        who = ("", 0)
        yield from self.device.spend(self._coding(self._overhead, 1), "send", who)
        self._put(link, self._overhead, "hello", who, what)

    def _coding(self, count: int, frames: int) -> float:
        loop = self._runtime.loop
        return loop.encode_frame * frames + loop.encode_byte * count + self._sealing(count, frames)

    def _decoding(self, count: int) -> float:
        loop = self._runtime.loop
        return loop.decode_piece + count * loop.decode_byte if count else 0.0

    def _sealing(self, count: int, frames: int) -> float:
        """Return what encryption and tag of frames on a secured link cost at either end."""
        if not self._is_secured:
            return 0.0
        loop = self._runtime.loop
        blocks, rest = divmod(max(0, count - frames * self._overhead), _CIPHER_BLOCK_BYTES)
        part = loop.seal_part + rest * loop.seal_part_byte if rest else 0.0
        return frames * loop.seal_frame + blocks * loop.seal_block + part

    def _put(self, link: Link, count: int, task: str, who: Run, content: object) -> None:
        self.line.send(Frame(self.device.name, link.peer, count, task, who, content), self.uart)

    def _on_frame(self, frame: Frame) -> None:
        """Wake the main loop when the interrupt has taken a frame's last bytes."""
        self.device.interrupted(frame.count * self._runtime.loop.interrupt_byte)
        self.device.interrupt(self._runtime.group_bytes * self._runtime.loop.interrupt_byte)
        self.device.wake()


def stream(
    hand_off: HandOff,
    ends: tuple[Link, Link],
    queues: tuple[Queue, Queue],
    medium: Medium,
    runtime: Runtime,
    repeat_us: float,
) -> None:
    """Join two queues by a hand-off from the first end to the second."""
    fragments = fragments_of(hand_off.size_bytes, medium)
    low = runtime.channel_answer_frames if medium.shared else runtime.window_frames
    receiver = Receiver(
        device=ends[1].device,
        queue=queues[1],
        fragments=fragments,
        answer_every=max(1, runtime.channel_answer_frames // fragments.group) if medium.shared else 1,
        low_credit=max(1, low // fragments.group),
        answer_wait_us=repeat_us * runtime.answer_wait_share,
        who=(hand_off.app, 0),
    )
    sender = Sender(receiver, queues[0], fragments, max(2, runtime.window_frames // fragments.group))
    receiver.sender = sender
    ends[0].senders.append(sender)
    ends[1].receivers.append(receiver)
