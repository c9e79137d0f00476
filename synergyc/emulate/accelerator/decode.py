"""From registers to :class:`LayerConfig` (docs/accelerator.md, 5.3 and 5.5).

Field positions that both register formats share are read here, the others in :mod:`formats`. A combination
whose effect is not known raises NotModelled, and so does a bit that nothing reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from synergyc.emulate.accelerator.checks import check
from synergyc.emulate.accelerator.config import (
    Activation,
    Bias,
    Eltwise,
    Input,
    Kernel,
    LayerConfig,
    Operation,
    Output,
    Pointer,
)
from synergyc.emulate.accelerator.formats import Frame, RegisterFormat
from synergyc.emulate.accelerator.registers import LayerWords
from synergyc.targets import Cnn

WEIGHT_BITS = {0: 8, 1: 1, 2: 2, 3: 4}
"""POST[23:22] -> weight bits."""
QUADRANT_BITS = {"ENA": 0xFFFFFFFF, "POST": 0x1FFF, "LCTL": 0xF000}
"""Bits in which the quadrants of a layer differ: enables, place of the bias, sources."""


@dataclass(frozen=True)
class Mode:
    """What CTL and LCNT say for all layers of a run."""

    master: int
    streaming: bool
    average_rounds: bool
    binary: bool
    first_layer: int


def decode(cnn: Cnn, form: RegisterFormat, mode: Mode, words: dict[int, LayerWords]) -> LayerConfig:
    """Return what the layer in ``words`` (quadrant -> registers) does; raises NotModelled."""
    return _Decoder(cnn, form, mode, words).config()


class _Decoder:
    def __init__(self, cnn: Cnn, form: RegisterFormat, mode: Mode, words: dict[int, LayerWords]) -> None:
        self._cnn = cnn
        self._form = form
        self._mode = mode
        self._words = words
        self._master = words[mode.master]
        self._operation = self._decode_operation()
        self._wide = self._master["LCTL"].flag(16)
        self._time_slots = self._master["ONED"].field(0, 4) + 1

    def config(self) -> LayerConfig:
        master = self._master
        pool = self._form.pool(master, self._mode.average_rounds)
        passes, step, last_position = self._form.line(master)
        operands, eltwise, pool_first = self._eltwise()
        kernel = self._kernel(passes, last_position)
        fetches = 0 if kernel is not None and kernel.elements else passes * operands
        transposed = kernel is not None and kernel.transposed
        if kernel is not None and transposed and master["LCTL"].flag(7):
            pool = self._form.spread_pool(master, pool, fetches, kernel.cols)
        frame = self._form.frame(master, pool, fetches, transposed=transposed)
        if kernel is not None:
            kernel = replace(kernel, pad_rows=frame.rows.pad, pad_cols=frame.cols.pad)
        active, processors = self._enabled()
        shift, activation = self._post()
        config = LayerConfig(
            number=master.layer,
            operation=self._operation,
            processors=processors,
            input=self._input(frame, passes, operands),
            pool=pool,
            eltwise=eltwise,
            pool_first=pool_first,
            kernel=kernel,
            output=self._output(active, step, last_position, kernel),
            biases=self._biases(kernel),
            shift=shift,
            activation=activation,
            ring_words=master["FMAX"].field(0, 18),
            streaming=self._streaming(),
        )
        check(self._cnn, master, config)
        master.require_known()
        return config

    def _decode_operation(self) -> Operation:
        post = self._master["POST"]
        passes, depthwise = post.flag(24), post.flag(30)
        if depthwise and (not passes or "depthwise" not in self._cnn.features):
            raise post.refuse("POST[30] without POST[24], or on a chip without depthwise layers")
        if depthwise:
            return Operation.DEPTHWISE
        return Operation.PASSTHROUGH if passes else Operation.CONVOLVE

    def _enabled(self) -> tuple[tuple[LayerWords, ...], tuple[int, ...]]:
        """Return the quadrants that have processors in the layer, and all the processors."""
        master, per_quadrant = self._master, self._cnn.processors_per_quadrant
        sources = self._sources()
        masked = self._operation is not Operation.PASSTHROUGH and not self._form.bypass(master)
        active: list[LayerWords] = []
        processors: list[int] = []
        for quadrant, registers in sorted(self._words.items()):
            enable = registers["ENA"]
            processor_map, mask = enable.field(0, 16), enable.field(16, 16)
            if mask != (processor_map if masked else 0):
                raise enable.refuse("processor and mask enables do not fit together")
            if not processor_map:
                if any(word.value for _, word in registers.items()):
                    self._compare(registers)
                continue
            if self._operation is Operation.CONVOLVE and quadrant not in sources:
                raise enable.refuse("processors are on in a quadrant the master does not listen to")
            self._compare(registers)
            active.append(registers)
            first = quadrant * per_quadrant
            processors += [first + i for i in range(per_quadrant) if processor_map >> i & 1]
        if not processors:
            raise master["ENA"].refuse("no processor is enabled")
        return tuple(active), tuple(processors)

    def _sources(self) -> set[int]:
        """Return the quadrants whose sums, or bias, the master adds."""
        lctl, own = self._master["LCTL"], self._master.quadrant
        others = {quadrant for quadrant in range(self._cnn.quadrants) if lctl.flag(12 + quadrant)}
        if own in others or not others <= set(self._words):
            raise lctl.refuse("the master listens to itself, or to a quadrant that does not run")
        if others and self._operation is not Operation.CONVOLVE:
            raise lctl.refuse("other quadrants as sources of a layer without sums")
        return others | {own}

    def _compare(self, registers: LayerWords) -> None:
        """Raise NotModelled where a quadrant's registers differ from the master's in what must be equal."""
        if registers is self._master:
            return
        for name, word in registers.items():
            differ = (word.value ^ self._master[name].value) & ~QUADRANT_BITS.get(name, 0)
            if differ and not (name == "WPTR" and self._operation is not Operation.CONVOLVE):
                raise word.refuse(f"differs from the master quadrant in bits 0x{differ:08X}")

    def _eltwise(self) -> tuple[int, Eltwise | None, bool]:
        """Return operands, function, and whether pooling comes first."""
        oned = self._master["ONED"]
        active, convolves = oned.flag(13), oned.flag(17)
        code, pool_first, extra = oned.field(14, 2), oned.flag(16), oned.field(18, 4)
        if not active:
            if code or pool_first or convolves or extra:
                raise oned.refuse("element-wise fields are set, but ONED[13] does not turn them on")
            return 1, None, True
        if convolves == (self._operation is Operation.PASSTHROUGH):
            raise oned.refuse("ONED[17] and POST disagree whether a convolution follows")
        pooled = self._master["LCTL"].flag(7)
        return extra + 1, Eltwise(code), pool_first or not pooled

    def _kernel_size(self) -> tuple[int, int]:
        oned = self._master["ONED"]
        length, one_dimensional = oned.field(8, 4), oned.flag(12)
        if one_dimensional:
            if not 1 <= length <= self._cnn.limits.conv1d_max_kernel:
                raise oned.refuse(f"a kernel of length {length}")
            size = length, 1
        else:
            if length > 1:
                raise oned.refuse(f"a kernel length of {length} without ONED[12]")
            size = (1, 1) if length else (3, 3)
        own = self._form.kernel_size(self._master)
        if own is not None and own != size:
            raise self._master["LCTL"].refuse(f"kernel {own[0]}x{own[1]}, but ONED says {size[0]}x{size[1]}")
        return size

    def _kernel(self, passes: int, last_position: int) -> Kernel | None:
        post, phase = self._master["POST"], self._master["ONED"].field(4, 4)
        bits = WEIGHT_BITS[post.field(22, 2)]
        if self._operation is Operation.PASSTHROUGH:
            self._master["ONED"].field(8, 4)
            return None
        rows, cols = self._kernel_size()
        unit, interleave = self._form.bypass(self._master), 4 if post.flag(29) else 1
        mask_bits = 8 if unit else bits
        mask = self._form.mask(self._master, mask_bits, (interleave, self._time_slots))
        elements = self._elements()
        positions, left = divmod(mask.count, elements or passes)
        if left or mask.start % 8 or last_position % mask_bits:
            raise post.refuse(f"kernels of {bits} bits do not fit MCNT, LCTL2 and {passes} passes")
        if self._operation is Operation.DEPTHWISE and positions != 1:
            raise post.refuse(f"{mask.count} depthwise kernels for {passes} passes")
        return Kernel(
            rows=rows,
            cols=cols,
            pad_rows=0,
            pad_cols=0,
            bits=bits,
            binary=bits == 1 and self._mode.binary,
            first_byte=mask.start // 8 * rows * cols + phase,
            count=mask.count,
            positions=positions,
            elements=elements,
            interleave=interleave,
            unit=unit,
            transposed=post.flag(28),
        )

    def _elements(self) -> int:
        """Return the values per processor a flattening layer multiplies for one output; 0: no flatten."""
        post, tptr = self._master["POST"], self._master["TPTR"]
        flatten, high = post.flag(27), post.field(18, 4)
        if not flatten:
            if high:
                raise post.refuse("a flatten length without POST[27]")
            return 0
        last = high << 4 | self._master["LCTL2"].field(0, 4)
        if tptr.field(16, 16) != last or tptr.field(0, 16) != 2 * last + 1:
            raise tptr.refuse(f"does not fit the {last + 1} values to flatten")
        return last + 1

    def _input(self, frame: Frame, passes: int, operands: int) -> Input:
        rptr = self._master["RPTR"]
        word = rptr.field(0, 21)
        if word >= self._cnn.instance_words:
            raise rptr.refuse("reads from beyond the instance")
        return Input(
            word=word,
            rows=frame.rows.size,
            cols=frame.cols.size,
            row_pixels=frame.row_pixels,
            pixel_words=frame.pixel_words,
            passes=passes,
            operands=operands,
            bytewise=self._master["LCTL"].flag(6),
        )

    def _output(
        self, active: tuple[LayerWords, ...], step: int, last_position: int, kernel: Kernel | None
    ) -> Output:
        broadcast = self._form.broadcast(self._master)
        if broadcast and self._operation is not Operation.DEPTHWISE:
            raise self._master["LCTL"].refuse("broadcast outside a depthwise layer")
        spread = self._operation is Operation.PASSTHROUGH or (
            self._operation is Operation.DEPTHWISE and not broadcast
        )
        pixel_words, pass_words = step * (4 if self._wide else 1), self._master["CHOFFS"].field(0, 32)
        if kernel is None:
            pixel_words, pass_words = self._form.pass_outputs(self._master) * step, step
        bits = 8 if kernel is None or kernel.unit else kernel.bits
        writers = (self._master,) if self._operation is Operation.CONVOLVE else active
        return Output(
            pointers=tuple(self._pointer(words) for words in writers),
            pixel_words=pixel_words,
            pass_words=pass_words,
            width=last_position // bits + 1,
            wide=self._wide,
            spread=spread,
            time_slots=self._time_slots,
        )

    def _pointer(self, words: LayerWords) -> Pointer:
        wptr, bits = words["WPTR"], self._form.pointer_bits
        word, instance = wptr.field(0, bits), wptr.field(bits, 32 - bits)
        self._master["WPTR"].field(0, 32)
        if instance >= self._cnn.instances:
            raise wptr.refuse(f"writes to instance {instance} of {self._cnn.instances}")
        return Pointer(words.quadrant, instance, word)

    def _post(self) -> tuple[int, Activation]:
        post, lctl = self._master["POST"], self._master["LCTL"]
        magnitude, right = post.field(13, 4), post.flag(17)
        relu, absolute = lctl.flag(9), post.flag(26)
        if self._operation is Operation.PASSTHROUGH and (
            magnitude or right or relu or absolute or self._wide
        ):
            raise post.refuse("shift, activation or 32-bit output of a layer without convolution")
        if relu + absolute + self._wide > 1:
            raise post.refuse("two activations, or an activation of 32-bit output")
        activation = Activation.RELU if relu else Activation.ABS if absolute else Activation.NONE
        return (-magnitude if right else magnitude), activation

    def _biases(self, kernel: Kernel | None) -> tuple[Bias, ...]:
        """Return where each quadrant's bias starts: in steps of four bytes where four lanes read at once."""
        sources, biases = self._sources(), []
        step = 4 if self._form.broadcast(self._master) else kernel.interleave if kernel is not None else 1
        first = self._master.layer == 0 and self._streaming()
        skipped = int(first and self._form.skips_stream_bias)
        for quadrant, registers in sorted(self._words.items()):
            post = registers["POST"]
            start, active = post.field(0, 12), post.flag(12)
            if not active:
                continue
            if self._operation is Operation.CONVOLVE and quadrant not in sources:
                raise post.refuse("the bias is in a quadrant the master does not listen to")
            if self._master["ONED"].flag(13) and not self._form.biased_eltwise:
                raise post.refuse("this chip adds no bias after an element-wise step")
            biases.append(Bias(quadrant, start * step + skipped))
        limit = {Operation.CONVOLVE: 1, Operation.PASSTHROUGH: 0, Operation.DEPTHWISE: len(self._words)}
        if len(biases) > limit[self._operation]:
            raise self._master["POST"].refuse(f"{len(biases)} quadrants add a bias")
        return tuple(biases)

    def _streaming(self) -> bool:
        start, deltas = self._master["STRM1"].field(0, 26), self._master["STRM2"].field(0, 32)
        first = self._master.layer == self._mode.first_layer
        return self._mode.streaming and bool(start or deltas or first)
