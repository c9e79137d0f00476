"""From a segment of a network to a program for the accelerator: placement, then a generator."""
