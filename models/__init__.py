"""Demo models, plain PyTorch, and the scripts that train them."""
