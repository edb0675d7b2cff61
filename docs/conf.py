"""How the documentation becomes a site: plain Markdown from the whole repository, each page where it lies.

``just site`` builds it into ``build/site``. A warning is an error: a link that leads nowhere, a page without one to it.
"""

from __future__ import annotations

project = "Arthexis"
author = "The Arthexis team"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "docs/index"
include_patterns = ["docs/**.md", "docs/**/*.md", "plugins/*/README.md", "benchmarks/README.md", "*.md"]
exclude_patterns = [".*", "build", "**/node_modules", "**/*.egg-info"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "Arthexis"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
suppress_warnings = ["misc.highlighting_failure"]  # samples of JSON that leave something out, with …
