"""Sphinx configuration of the documentation site."""

project = "molehunt"
author = "The molehunt contributors"
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
# Headings are linked to as GitHub does it.
myst_heading_anchors = 4
html_theme = "furo"
html_title = "molehunt"
html_copy_source = False
html_show_sphinx = False
# Some pages begin below the first level, or skip one, for reading on GitHub.
suppress_warnings = ["myst.header"]
