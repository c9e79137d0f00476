"""The stages in a row: build a system, run a build."""
