"""Tensors, layers, networks: the forms a model takes between stages. Imports nothing of the other stages."""
