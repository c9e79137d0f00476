"""Other quantizers, brought onto the chip's arithmetic: yardsticks for ours."""
