"""The state machine between start and done (docs/accelerator.md, 5.5 and 5.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from synergyc.emulate.accelerator import layers
from synergyc.emulate.accelerator.config import LayerConfig
from synergyc.emulate.accelerator.control import Control
from synergyc.emulate.accelerator.cycles import START_CYCLES, layer_cycles
from synergyc.emulate.accelerator.decode import Mode, decode
from synergyc.emulate.accelerator.errors import NotModelled
from synergyc.emulate.accelerator.fifo import FAST_QUADRANT, Fifos
from synergyc.emulate.accelerator.formats import RegisterFormat
from synergyc.emulate.accelerator.hazards import check_layer, check_rings, touched
from synergyc.emulate.accelerator.memory import Memories
from synergyc.emulate.accelerator.network import Kernels, LayerRun, Run
from synergyc.emulate.accelerator.registers import RegisterFile
from synergyc.emulate.accelerator.snoop import Lookahead, SnoopState, read_units, store
from synergyc.targets import Cnn

_MOST_KNOWN = 1024
"""Decoded layers that are kept: those of some networks that a program changes between."""


@dataclass(frozen=True)
class _Decoded:
    """A layer, and the one that follows it if a link is taken, or is not; None: it is the last one."""

    config: LayerConfig
    following: Mapping[bool, int | None]


class Sequencer:
    """Decodes the layers at the start, computes them at the end.

    ``running`` is true in between, ``paused`` while software holds the run; ``members`` are the quadrants
    that take part, ``master`` leads them.
    """

    def __init__(
        self,
        cnn: Cnn,
        form: RegisterFormat,
        files: tuple[RegisterFile, ...],
        memories: Memories,
        fifos: Fifos,
    ) -> None:
        self._cnn = cnn
        self._form = form
        self._files = files
        self._memories = memories
        self._fifos = fifos
        self._run: Run | None = None
        self._one_shot = False
        self._pipelined = False
        self._stopped = False
        self._control = 0
        self._written: list[tuple[int, int, int, int]] = []
        self._snooped: tuple[SnoopState, ...] = ()
        self._known: dict[object, _Decoded] = {}
        """Layers by all that decides about them: programs run the same ones again and again."""
        self._checked: set[LayerConfig] = set()
        """Layers that do not overwrite what they read later."""
        self.kernels = Kernels(cnn, memories)
        self.running = False
        self.paused = False
        self.master = 0
        self.members: tuple[int, ...] = ()
        self.layers: tuple[LayerRun, ...] = ()
        self.busy_cycles = 0

    def reset(self) -> None:
        """Forget the run: power was off."""
        self.running = self.paused = False
        self._run = None
        self._stopped = False
        self._written.clear()
        self._fifos.close()

    def stop(self) -> None:
        """Software cleared the run bit in the middle of a run: hold it if all its input is there."""
        waiting = self._fifos.waiting
        self.running, self.paused = False, not waiting
        self._stopped = waiting

    def abandon(self) -> None:
        """Software does something else than to let a held run go on."""
        if self.paused:
            self.paused, self._stopped = False, True

    def start(self, master: int) -> None:
        """The run bit was set: begin, or go on with a held run or (one-shot mode) the next layer."""
        word = self._files[master].word("CTL")
        control = Control(word.value)
        if self.paused and control.value == self._control:
            self.running, self.paused = True, False
            return
        self.abandon()
        if self._stopped:
            raise word.refuse("where a run goes on after it was stopped half-way is not known")
        self._control = control.value
        if self._run is None or not control.one_shot:
            self._begin(master, control)
        self._one_shot = control.one_shot
        self._pipelined = self._form.pipelined and not control.pipeline_off
        self.running = True

    def _begin(self, master: int, control: Control) -> None:
        word = self._files[master].word("CTL")
        control.require_master(word)
        self.master = master
        self.members = tuple(file.quadrant for file in self._files if Control(file.get("CTL")).run)
        for quadrant in self.members:
            self._require_member(self._files[quadrant], control)
        configs = self._configs(control)
        big_stream = control.streaming and configs[0].input.bytewise
        if self._form.marks_big_stream and control.big_stream != big_stream:
            raise word.refuse("CTL[6] is set for a streaming first layer with CHW input only")
        try:
            check_rings(self._cnn, configs)
        except layers.OutOfReach as error:
            raise self._refused(configs[0], error) from error
        self._run = Run(self._cnn, self._memories, self.kernels, configs)
        if control.fifo:
            self._open_fifos(control)

    def _require_member(self, file: RegisterFile, control: Control) -> None:
        """Raise NotModelled if a quadrant that takes part does not fit the master."""
        file.require_known()
        if file.quadrant == self.master:
            return
        word = file.word("CTL")
        Control(word.value).require_follower(word, control, self.master)
        if file.get("LCNT") != self._files[self.master].get("LCNT"):
            raise file.word("LCNT").refuse("differs from the master's")

    def _open_fifos(self, control: Control) -> None:
        frame, enabled = self._files[self.master].word("IFRM"), self._fifos.enabled
        if control.fast_fifo:
            if enabled or self.master != FAST_QUADRANT:
                word = self._files[self.master].word("CTL")
                raise word.refuse("CTL[22]: the fast FIFO in another quadrant, or besides other FIFOs")
            enabled = (FAST_QUADRANT,)
        if not enabled or any(quadrant not in self.members for quadrant in enabled):
            raise self._files[self.master].word("CTL").refuse("FIFO input, but no FIFO of a quadrant is on")
        if not frame.value:
            raise frame.refuse("FIFO input without a frame size")
        self._fifos.open(enabled, frame.value)

    def _configs(self, control: Control) -> tuple[LayerConfig, ...]:
        """Return the layers in the order in which they will run."""
        count = self._files[self.master].word("LCNT")
        last, first = count.field(0, 8), count.field(8, 8)
        count.require_known()
        if last >= self._cnn.limits.layers or (first and "start_layer" not in self._cnn.features):
            raise count.refuse(f"layers {first} to {last} of {self._cnn.limits.layers}")
        mode = Mode(self.master, control.streaming, control.average_rounds, control.binary, first)
        lookahead = self._lookahead(control)
        configs: list[LayerConfig] = []
        number: int | None = first
        while number is not None:
            decoded = self._decoded(mode, number, last)
            configs.append(decoded.config)
            linked, stopped = self._decide(lookahead, decoded.config)
            number = decoded.following[linked]
            if len(configs) > self._cnn.limits.layers or (number or 0) >= self._cnn.limits.layers:
                raise count.refuse("the sequence of layers never reaches the last one")
            if stopped:
                break
        self._snooped = lookahead.states
        return tuple(configs)

    def _decoded(self, mode: Mode, number: int, last: int) -> _Decoded:
        """Return hardware layer ``number``, decoded again only if a register of it has changed."""
        values = tuple(self._files[quadrant].layer_values(number) for quadrant in self.members)
        key = (mode, number, last, self.members, values)
        if key not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
                self._checked.clear()
            self._known[key] = self._decode(mode, number, last)
        return self._known[key]

    def _decode(self, mode: Mode, number: int, last: int) -> _Decoded:
        words = {quadrant: self._files[quadrant].layer(number) for quadrant in self.members}
        master = words[self.master]
        following = {linked: self._form.next_layer(master, last, linked=linked) for linked in (True, False)}
        return _Decoded(decode(self._cnn, self._form, mode, words), following)

    def _lookahead(self, control: Control) -> Lookahead:
        """Return what decides about the way through the layers where snoop units do."""
        units = read_units(self._cnn, self._files[self.master]) if control.snoop else ()
        if units and (control.fifo or control.streaming or control.one_shot):
            word = self._files[self.master].word("CTL")
            raise word.refuse("CTL[7]: snoop units together with FIFO input, streaming or one-shot mode")
        return Lookahead(self._cnn, self._memories, self.kernels, units)

    def _decide(self, lookahead: Lookahead, config: LayerConfig) -> tuple[bool, bool]:
        """Return whether the link after ``config`` is taken, and whether the run ends there."""
        try:
            return lookahead.decide(config)
        except layers.OutOfReach as error:
            raise self._refused(config, error) from error

    def cycles_to_done(self) -> int | None:
        """Return CNN clock cycles from the start or the last FIFO word to done; None while it waits."""
        if self._run is None or not self.running or self._fifos.waiting:
            return None
        left = self._run.left[:1] if self._one_shot else self._run.left
        first = 0 if self._run.begun else START_CYCLES
        return first + sum(self._cycles(config) for config in left)

    def finish(self) -> None:
        """Compute the layers (one in one-shot mode) and write data memory."""
        cycles, run = self.cycles_to_done(), self._run
        if run is None or cycles is None:
            raise ValueError("finish() before the accelerator has started and has all its input")
        self.running = False
        self.busy_cycles += cycles
        self._check_writes(run)
        frames = self._fifos.close()
        if frames:
            self._feed(run, frames)
        done = self.layers if run.begun else ()
        for _ in range(1 if self._one_shot else len(run.left)):
            done = (*done, self._step(run))
        self.layers = done
        if not run.left:
            self._run = None
            for quadrant in self.members:
                store(self._files[quadrant], self._snooped)

    @property
    def one_shot(self) -> bool:
        """Whether the run stops after each layer."""
        return self._one_shot

    def note_write(self, instance: int, word: int, address: int, value: int) -> None:
        """Software writes data memory during the run: it must be memory the run does not use."""
        self._written.append((instance, word, address, value))

    def _check_writes(self, run: Run) -> None:
        used = list(touched(self._cnn, run.left)) if self._written else []
        for instance, word, address, value in self._written:
            if any(instance == other and word in words for other, words in used):
                raise NotModelled("data memory", address, value, "is written during a run that uses it")
        self._written.clear()

    def _cycles(self, config: LayerConfig) -> int:
        return layer_cycles(config, self._cnn.timing, pipelined=self._pipelined)

    def _feed(self, run: Run, frames: dict[int, list[int]]) -> None:
        per_quadrant = self._cnn.instances // self._cnn.quadrants
        config = run.left[0]
        try:
            run.feed({quadrant * per_quadrant: words for quadrant, words in frames.items()})
        except layers.OutOfReach as error:
            raise self._refused(config, error) from error

    def _step(self, run: Run) -> LayerRun:
        config = run.left[0]
        try:
            if not config.ring_words and config not in self._checked:
                check_layer(self._cnn, config)
                self._checked.add(config)
            result = run.step()
        except layers.OutOfReach as error:
            raise self._refused(config, error) from error
        return LayerRun(config.number, self._cycles(config), config.summary, config, result)

    def _refused(self, config: LayerConfig, error: layers.OutOfReach) -> NotModelled:
        addresses = self._cnn.addresses
        if error.register in addresses.quadrant_registers:
            return self._files[self.master].word(error.register).refuse(error.reason)
        names = (*addresses.layer_registers.numbers, *addresses.stream_registers.numbers)
        name = next(name for name in names if name.startswith(error.register))
        return self._files[self.master].word(name, config.number).refuse(error.reason)
