"""The eight networks as the vendor's generator reports them (analogdevicesinc/ai8x-synthesis, ab4f4c01).

Forms without depthwise layers: TaesikGong/ai8x-synthesis, ``networks/custom``. Weight and bias bytes of five
also stand in the summaries of the vendor's SDK (aniktash/MAX78000_SDK-1, ``Examples/*/CNN/*/main.c``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Totals of one form, and the shape that each layer with weights makes, in order.

    ``macs`` counts a transposed convolution on its input with the zeros between the pixels.
    """

    macs: int
    weight_bytes: int
    bias_bytes: int
    fits: bool
    shapes: str


FACTS = {
    ("convnet5", "MAX78000"): Facts(
        10_751_808,
        71_148,
        10,
        True,
        "60x28x28 60x16x16 56x8x8 12x4x4 10x1x1",
    ),
    ("kws", "MAX78000"): Facts(
        8_345_344,
        169_472,
        0,
        True,
        "100x128x1 96x126x1 64x63x1 48x61x1 64x30x1 96x28x1 100x14x1 64x4x1 21x1x1",
    ),
    ("kws", "MAX78002"): Facts(
        7_994_560,
        148_928,
        0,
        True,
        "100x128x1 96x126x1 64x61x1 48x59x1 64x27x1 96x25x1 100x10x1 64x3x1 21x1x1",
    ),
    ("simplenet", "MAX78000"): Facts(
        18_461_184,
        165_228,
        1_220,
        True,
        "16x32x32 20x32x32 20x32x32 20x32x32 20x16x16 20x16x16 44x16x16 48x8x8 48x8x8 96x4x4 "
        "512x2x2 128x2x2 128x1x1 100x1x1",
    ),
    ("ressimplenet", "MAX78000"): Facts(
        18_461_184,
        381_792,
        0,
        True,
        "16x32x32 20x32x32 20x32x32 20x32x32 20x16x16 20x16x16 44x16x16 48x8x8 48x8x8 96x4x4 "
        "512x2x2 128x2x2 128x1x1 100x1x1",
    ),
    ("widenet", "MAX78000"): Facts(
        42_957_568,
        312_200,
        1_500,
        True,
        "24x32x32 32x32x32 32x32x32 32x32x32 32x16x16 32x16x16 64x16x16 64x8x8 64x8x8 128x4x4 "
        "512x2x2 192x2x2 192x1x1 100x1x1",
    ),
    ("unet", "MAX78000"): Facts(
        186_301_440,
        278_176,
        908,
        True,
        "64x48x48 64x48x48 32x48x48 8x48x48 28x24x24 56x12x12 112x6x6 56x12x12 56x12x12 28x24x24 "
        "28x24x24 8x48x48 48x48x48 64x48x48 64x48x48 64x48x48 64x48x48 64x48x48",
    ),
    ("efficientnetv2", "MAX78000"): Facts(
        146_679_808,
        623_968,
        3_252,
        False,
        "32x16x16 16x16x16 64x16x16 32x16x16 128x16x16 32x16x16 128x16x16 48x16x16 192x16x16 "
        "48x16x16 192x16x16 96x16x16 384x16x16 96x16x16 384x16x16 128x16x16 512x16x16 128x16x16 "
        "512x16x16 100x1x1",
    ),
    ("efficientnetv2", "MAX78002"): Facts(
        166_899_712,
        753_952,
        5_236,
        True,
        "32x16x16 16x16x16 64x16x16 32x16x16 128x16x16 32x16x16 128x16x16 48x16x16 192x16x16 "
        "48x16x16 192x16x16 192x16x16 96x16x16 384x16x16 384x16x16 96x16x16 384x16x16 384x16x16 "
        "128x16x16 512x16x16 512x16x16 128x16x16 1024x16x16 100x1x1",
    ),
    ("mobilenetv2", "MAX78000"): Facts(
        788_987_904,
        815_496,
        5_668,
        False,
        "24x32x32 12x32x32 72x32x32 20x32x32 120x32x32 20x32x32 120x32x32 24x32x32 144x32x32 "
        "24x32x32 144x32x32 24x32x32 144x32x32 48x32x32 288x32x32 48x32x32 288x32x32 48x32x32 "
        "288x32x32 48x32x32 288x32x32 72x32x32 432x32x32 72x32x32 432x32x32 72x32x32 432x32x32 "
        "80x32x32 480x32x32 80x32x32 480x32x32 80x32x32 480x32x32 240x32x32 480x32x32 100x8x8",
    ),
    ("mobilenetv2", "MAX78002"): Facts(
        25_695_744,
        1_341_960,
        6_508,
        True,
        "24x32x32 24x32x32 12x32x32 72x32x32 72x16x16 20x16x16 120x16x16 120x16x16 20x16x16 "
        "120x16x16 120x8x8 24x8x8 144x8x8 144x8x8 24x8x8 144x8x8 144x8x8 24x8x8 144x8x8 144x4x4 "
        "48x4x4 288x4x4 288x4x4 48x4x4 288x4x4 288x4x4 48x4x4 288x4x4 288x4x4 48x4x4 288x4x4 "
        "288x4x4 72x4x4 432x4x4 432x4x4 72x4x4 432x4x4 432x4x4 72x4x4 432x4x4 432x4x4 120x4x4 "
        "720x4x4 720x4x4 120x4x4 720x4x4 720x4x4 120x4x4 720x4x4 720x4x4 240x4x4 960x4x4 100x1x1",
    ),
}
