"""Project folders of the vendor's shape: C sources that load one network, run it and check its answer."""

from synergyc.synth.project.options import ProjectOptions
from synergyc.synth.project.render import PROJECT_FILES, render_project
from synergyc.synth.project.view import KnownAnswer

__all__ = ["PROJECT_FILES", "KnownAnswer", "ProjectOptions", "render_project"]
