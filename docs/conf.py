"""The site: made by Sphinx of README, the recipes here, and pages that `generate` writes of the code."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from generate import write_pages

from flowsynth._version import __version__

project = "flowsynth"
author = "the authors of flowsynth"
release = version = __version__
extensions = ["myst_parser"]
html_theme = "alabaster"
html_theme_options = {"fixed_sidebar": True, "page_width": "1100px"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_show_sphinx = False

write_pages(Path(__file__).resolve().parent)
