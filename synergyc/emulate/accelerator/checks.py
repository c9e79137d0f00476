"""What the arithmetic of a layer does not need, but the hardware relies on.

A register that contradicts the others would change the result in a way that is not known, so it is refused.
"""

from __future__ import annotations

from collections.abc import Callable

from synergyc.emulate.accelerator.config import LayerConfig, Operation
from synergyc.emulate.accelerator.registers import LayerWords
from synergyc.targets import Cnn

ALWAYS_SET = (5, 11)
"""LCTL bits that are set in every known program (docs/accelerator.md, 5.3)."""


def check(cnn: Cnn, master: LayerWords, config: LayerConfig) -> None:
    """Raise NotModelled if a register contradicts the rest of the layer."""
    rules: tuple[Callable[[Cnn, LayerWords, LayerConfig], None], ...] = (
        _control,
        _speed,
        _time_slots,
        _steps,
        _input,
        _pooling,
        _line_buffer,
        _special,
    )
    for rule in rules:
        rule(cnn, master, config)


def _control(_: Cnn, master: LayerWords, config: LayerConfig) -> None:
    lctl, post = master["LCTL"], master["POST"]
    if not all(lctl.flag(bit) for bit in ALWAYS_SET):
        raise lctl.refuse(f"bits {ALWAYS_SET} are set in all known programs")
    alone = post.flag(25)
    if alone != (config.operation is Operation.PASSTHROUGH and config.eltwise is None):
        raise post.refuse("POST[25] and ONED[13] disagree whether operands are combined")


def _speed(cnn: Cnn, master: LayerWords, _: LayerConfig) -> None:
    """Read-ahead changes how soon, not what."""
    lctl, post = master["LCTL"], master["POST"]
    if "read_ahead" in cnn.features:
        ahead, passes, quarter = lctl.flag(17), lctl.field(26, 3), post.flag(31)
        if not ahead and (passes or quarter):
            raise lctl.refuse("read-ahead fields are set, but LCTL[17] does not turn it on")


def _time_slots(cnn: Cnn, master: LayerWords, config: LayerConfig) -> None:
    slots, per_slot = config.output.time_slots, cnn.processors_per_instance
    counts = [
        sum(1 for p in config.processors if p // cnn.processors_per_quadrant == quadrant)
        for quadrant in range(cnn.quadrants)
    ]
    lanes = 4 if config.output.wide else 1
    most = max(counts)
    if config.operation is Operation.CONVOLVE:
        need = 1
    elif config.operation is Operation.PASSTHROUGH:
        need = -(-most // per_slot)
    elif config.output.spread:
        need = most * lanes
    else:
        need = min(most, per_slot) * lanes
    if slots != need:
        raise master["ONED"].refuse(f"{slots} time slots, but the enabled processors need {need}")


def _steps(cnn: Cnn, master: LayerWords, config: LayerConfig) -> None:
    toffs, moffs = master["TOFFS"], master["MOFFS"]
    instance = 1 << cnn.instance_bits
    offset, neighbour = toffs.field(0, 32), moffs.field(0, 32)
    if config.output.spread:
        known = (instance,) if config.output.time_slots > 1 else (instance, instance // 4)
    else:
        known = (0, 1)
    alone = config.operation is Operation.PASSTHROUGH and len(config.processors) == 1
    if offset not in known and not alone:  # a single value per pixel has no second time slot
        raise toffs.refuse("output time slots are not one instance apart")
    if neighbour != instance and config.operation is not Operation.PASSTHROUGH:
        raise moffs.refuse("neighbouring outputs are not one instance apart")


def _input(cnn: Cnn, master: LayerWords, config: LayerConfig) -> None:
    lctl = master["LCTL"]
    if not config.input.bytewise:
        return
    if config.input.passes * config.input.operands > 1 or config.kernel is None or config.kernel.elements:
        raise lctl.refuse("CHW input of a layer with several passes or operands, or without convolution")
    if any(processor % cnn.processors_per_instance for processor in config.processors):
        raise lctl.refuse("CHW input of processors that share an instance")


def _pooling(_: Cnn, master: LayerWords, config: LayerConfig) -> None:
    """One-dimensional pooling: the vendor's simulation ignores what the registers ask for (section 2.2)."""
    pool = config.pool
    if config.input.cols > 1 or pool.rows == 1:
        return
    if pool.average and pool.rounding:
        raise master["PRCNT"].refuse("one-dimensional average pooling with rounding")
    if not pool.average and pool.row_dilation > 1:
        raise master["PRCNT"].refuse("one-dimensional maximum pooling with dilation")


def _line_buffer(_: Cnn, master: LayerWords, config: LayerConfig) -> None:
    """The line buffer's length must be that of an output row; streaming layers share one buffer."""
    tptr, kernel = master["TPTR"], config.kernel
    if kernel is not None and kernel.elements:
        return
    first, last = tptr.field(16, 16), tptr.field(0, 16)
    plain = kernel is None or kernel.cols == 1
    need = 0 if plain else max(config.output_cols, 1) - 1
    if last - first != need or (first and not config.streaming):
        raise tptr.refuse(f"a line of {last - first + 1} pixels, but the layer needs {need + 1}")


def _special(cnn: Cnn, master: LayerWords, config: LayerConfig) -> None:
    """Combinations for which no source gives results."""
    post, kernel = master["POST"], config.kernel
    if kernel is None:
        return
    pooled = config.pool.rows * config.pool.cols * config.pool.stride > 1
    if kernel.elements and (pooled or config.eltwise is not None):
        raise post.refuse("pooling or element-wise operands in a flattening layer")
    if kernel.transposed and kernel.taps != 9:
        raise post.refuse("a transposed convolution with a kernel other than 3x3")
    if kernel.interleave > 1:
        plain = config.operation is Operation.CONVOLVE and kernel.taps == 9 and not kernel.unit
        if "calcx4" not in cnn.features or not plain or kernel.positions % kernel.interleave:
            raise post.refuse("four outputs at a time other than for a 3x3 convolution of 4, 8, .. outputs")
    if kernel.unit and config.operation is Operation.CONVOLVE and config.input.passes > 1:
        raise post.refuse("kernel bypass with several passes")
    if config.output_rows < 1 or config.output_cols < 1:
        raise master["RCNT"].refuse("the map is smaller than the kernel")
