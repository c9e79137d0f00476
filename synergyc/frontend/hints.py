"""What to do instead of operators that users often bring and the accelerator lacks."""

from __future__ import annotations

_SMOOTH = (
    "use ReLU, ReLU6 or LeakyReLU and train the model again: the accelerator has piecewise linear functions"
)
_MULTIPLY = "the accelerator multiplies by constant weights only: attention cannot be carried out"
_RECURRENT = "use 1-D convolutions (dilated, causal) over the last samples instead of recurrence"

ATEN_HINTS: dict[str, str] = {
    **dict.fromkeys(
        (
            *("silu.default", "hardswish.default", "hardsigmoid.default", "gelu.default", "elu.default"),
            *("selu.default", "mish.default", "softplus.default", "exp.default", "celu.default"),
        ),
        _SMOOTH,
    ),
    **dict.fromkeys(("bmm.default", "scaled_dot_product_attention.default", "baddbmm.default"), _MULTIPLY),
    **dict.fromkeys(("lstm.input", "gru.input", "rnn_tanh.input", "rnn_relu.input"), _RECURRENT),
    "native_layer_norm.default": "use batch normalization, which folds into weights",
    "layer_norm.default": "use batch normalization, which folds into weights",
    "group_norm.default": "use batch normalization, which folds into weights",
    "native_group_norm.default": "use batch normalization, which folds into weights",
    "instance_norm.default": "use batch normalization, which folds into weights",
    "embedding.default": "the network reads sensor data: look values up before it",
}
"""By the operator's name without the ``aten.`` in front."""

_QUANTIZED = "give the float model: quantization for the accelerator is the tool's own work"

ONNX_HINTS: dict[str, str] = {
    **dict.fromkeys(("HardSwish", "HardSigmoid", "Elu", "Gelu", "Erf", "Softplus", "Selu", "Mish"), _SMOOTH),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "use 1-D convolutions over the last samples instead"),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger"), _QUANTIZED),
    **dict.fromkeys(("If", "Loop", "Scan"), "the accelerator runs a fixed list of layers"),
    **dict.fromkeys(
        ("LayerNormalization", "InstanceNormalization", "GroupNormalization"),
        "use batch normalization, which folds into weights",
    ),
}
"""By the operator's name in ONNX."""
