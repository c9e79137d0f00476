"""synergyc: PyTorch models to firmware for body-worn networks of CNN-accelerator microcontrollers."""

__version__ = "0.1.0"
