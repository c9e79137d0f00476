"""Random networks of every form that the frontend can produce, for property tests.

Each strategy returns layer descriptions and the names of the outputs; sizes stay small enough to run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from synergyc.ir.network import LayerOp, Network
from synergyc.ir.types import Activation, EltwiseOp, Pool, PoolKind, Shape
from tests.synth.networks import AVERAGE_2X2, MAX_2X2, Spec, copy, linear, network, point

CHANNELS = st.one_of(st.integers(1, 40), st.sampled_from([64, 65, 70, 100, 128, 150]))
ACTIVATIONS = st.sampled_from(list(Activation))
BITS = st.sampled_from([1, 2, 4, 8, 8, 8])


@dataclass
class Builder:
    """Layers so far, and for each tensor its channels and size."""

    draw: st.DrawFn
    shape: Shape
    specs: list[Spec] = field(default_factory=list)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sizes["input"] = (self.shape[0], min(self.shape[1:]))

    @property
    def last(self) -> str:
        return f"l{len(self.specs) - 1}" if self.specs else "input"

    def add(self, spec: Spec, channels: int, size: int) -> str:
        self.specs.append(spec)
        self.sizes[self.last] = (channels, size)
        return self.last

    def convolution(self, out: int | None = None, *, source: str | None = None, pools: bool = False) -> str:
        """Add a convolution of 3x3 or 1x1, maybe after pooling."""
        draw = self.draw
        source = source or self.last
        _, size = self.sizes[source]
        count = draw(CHANNELS) if out is None else out
        pool = draw(st.sampled_from([None, MAX_2X2, AVERAGE_2X2])) if pools and size >= 4 else None
        spec = replace(
            Spec(count) if draw(st.booleans()) else point(count),
            activation=draw(ACTIVATIONS),
            bits=draw(BITS),
            bias=draw(st.booleans()),
            pool=pool,
            inputs=(source,),
        )
        return self.add(spec, count, size // 2 if pool else size)

    def result(self) -> Network:
        return network(self.shape, self.specs, outputs=self.outputs(), seed=self.draw(st.integers(0, 99)))

    def outputs(self) -> list[str]:
        """Return the tensors that nobody reads."""
        read = {name for spec in self.specs for name in spec.inputs}
        return [f"l{index}" for index in range(len(self.specs)) if f"l{index}" not in read]


def _builder(draw: st.DrawFn, most: int = 20) -> Builder:
    size = draw(st.integers(8, most))
    return Builder(draw, (draw(CHANNELS), size, draw(st.integers(8, most))))


@st.composite
def chains(draw: st.DrawFn) -> Network:
    """Convolutions and pooling, at the end maybe a linear layer that flattens, maybe with 32-bit output."""
    build = _builder(draw)
    for _ in range(draw(st.integers(1, 5))):
        build.convolution(pools=True)
    if build.sizes[build.last][1] <= 8:
        build.add(linear(draw(st.integers(1, 30)), wide=draw(st.booleans()), inputs=(build.last,)), 1, 1)
    return build.result()


@st.composite
def residuals(draw: st.DrawFn) -> Network:
    """Sums over one or two convolutions."""
    build = _builder(draw)
    for _ in range(draw(st.integers(1, 2))):
        channels = draw(CHANNELS)
        first = build.convolution(channels)
        second = build.convolution(channels)
        if draw(st.booleans()):
            second = build.convolution(channels)
        how = draw(st.sampled_from(list(EltwiseOp)))
        build.add(copy(inputs=(first, second), eltwise=how), *build.sizes[second])
    build.convolution(draw(st.integers(1, 20)))
    return build.result()


@st.composite
def u_shapes(draw: st.DrawFn) -> Network:
    """An encoder that pools, a decoder that doubles the map and reads what the encoder kept."""
    size = 4 * draw(st.integers(2, 4))
    build = Builder(draw, (draw(st.integers(1, 20)), size, size))
    step = st.integers(1, 8).map(lambda count: 4 * count)
    kept = [build.convolution(draw(step))]
    for _ in range(draw(st.integers(1, 2))):
        spec = replace(Spec(draw(step)), pool=MAX_2X2, inputs=(build.last,))
        kept.append(build.add(spec, spec.out, build.sizes[build.last][1] // 2))
    kept.pop()
    while kept:
        up = replace(Spec(draw(step), LayerOp.CONV_TRANSPOSE2D), inputs=(build.last,))
        size = 2 * build.sizes[build.last][1]
        name = build.add(up, up.out, size)
        other = kept.pop()
        joined = draw(st.permutations([name, other]))
        out = draw(step)
        build.add(replace(Spec(out), inputs=tuple(joined)), out, size)
    return build.result()


@st.composite
def multi_heads(draw: st.DrawFn) -> Network:
    """Several outputs from different depths of one trunk."""
    build = _builder(draw)
    heads = []
    for _ in range(draw(st.integers(1, 3))):
        build.convolution(pools=True)
        heads.append(build.last)
    for source in heads:
        build.convolution(draw(st.integers(1, 30)), source=source)
    return build.result()


@st.composite
def sequences(draw: st.DrawFn) -> Network:
    """One-dimensional convolutions with pooling and dilation."""
    length = draw(st.integers(40, 90))
    specs: list[Spec] = []
    channels = draw(st.integers(1, 60))
    shape = (channels, length)
    for _ in range(draw(st.integers(1, 4))):
        pool = draw(st.sampled_from([None, Pool(PoolKind.MAX, (2, 1), 2)]))
        room = length // 2 if pool else length
        kernel, dilation = draw(st.integers(1, 5)), draw(st.sampled_from([1, 1, 2, 11]))
        reach = (kernel - 1) * dilation
        if reach >= 9:
            kernel, pool, room, reach = min(kernel, 3), None, length, (min(kernel, 3) - 1) * dilation
        if room - reach < 4:
            continue
        length = room - reach
        specs.append(
            Spec(
                draw(st.integers(1, 64)),
                LayerOp.CONV1D,
                kernel=kernel,
                pad=0,
                pool=pool,
                dilation=dilation,
                activation=draw(ACTIVATIONS),
                bits=draw(BITS),
            )
        )
    specs.append(Spec(draw(st.integers(1, 20)), LayerOp.CONV1D, kernel=1, pad=0))
    return network(shape, specs)


@st.composite
def wide_concatenations(draw: st.DrawFn) -> Network:
    """Tensors joined by channel, within one pass and beyond."""
    build = _builder(draw, 12)
    parts = []
    trunk = build.convolution()
    for _ in range(draw(st.integers(2, 3))):
        parts.append(build.convolution(draw(st.one_of(st.integers(1, 30), st.just(64))), source=trunk))
    out = draw(st.integers(1, 20))
    build.add(replace(Spec(out), inputs=tuple(parts)), out, build.sizes[trunk][1])
    return build.result()


@st.composite
def depthwise_chains(draw: st.DrawFn) -> Network:
    """Pointwise and depthwise convolutions in turn, with a sum over them."""
    build = _builder(draw)
    first = build.convolution()
    channels, size = build.sizes[first]
    bits, bias = draw(BITS), draw(st.booleans())
    deep = build.add(replace(Spec(0, groups=2), bits=bits, bias=bias, inputs=(first,)), channels, size)
    second = build.convolution(channels, source=deep)
    if draw(st.booleans()):
        build.add(copy(inputs=(first, second), eltwise=EltwiseOp.ADD), channels, size)
    build.convolution(draw(st.integers(1, 20)))
    return build.result()


NETWORKS = st.one_of(
    depthwise_chains(), chains(), residuals(), u_shapes(), multi_heads(), sequences(), wide_concatenations()
)
