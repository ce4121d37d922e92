"""The pages of docs/ as a site, by Sphinx: `make site` builds it into site/.

The pages are written for readers of the repository, and have nothing in them that is for Sphinx alone. What the site needs besides is
here: the order of the pages, where links out of docs/ lead, and a place for each diagram.
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.parsers.rst import Directive

from ckgit import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]

# Every page, by the heading under which the site lists it. A page that stands in none is refused by the build.
NAVIGATION = {
    "Begin": ["tutorial", "models", "trainers", "your-data", "tasks", "claims", "reading-a-report", "survey", "a-second-look", "watching"],
    "With others": ["slurm", "review", "ci-github", "hooks", "verify"],
    "Look up": ["results", "reference", "troubleshooting", "after-a-month", "glossary", "comparison", "cruijff"],
    "Change ckgit": ["architecture", "workers", "CONTRIBUTING"],
}

project = "ckgit"
author = "the authors of ckgit"
project_copyright = author
release = version = __version__
extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["site", "__pycache__"]
myst_heading_anchors = 4  # as deep as the pages' links go
myst_fence_as_directive = ["mermaid"]
nitpicky = True
smartquotes = False  # --json is two hyphens
suppress_warnings = ["myst.header"]  # the reference goes from a section to a field's table without a heading between

html_theme = "furo"  # its fonts, styles and scripts come with the site
html_title = f"ckgit {__version__}"
html_static_path = ["static", str(ROOT / ".ci/mermaid/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js")]
html_css_files = ["site.css"]
html_copy_source = False
copybutton_prompt_text = r"\$ |> "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True


class Mermaid(Directive):
    """A diagram, which mermaid draws in the browser."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The text of the diagram, where mermaid looks for it."""
        text = html.escape("\n".join(self.content), quote=False)
        return [nodes.raw("", f'<pre class="mermaid">{text}</pre><script src="_static/mermaid.tiny.js" defer></script>', format="html")]


def _source(_app: Sphinx, page: str, text: list[str]) -> None:
    """Before a page is read: its links out of docs/, and on the first page the list of all."""
    text[0] = re.sub(r"\[([^\]\[]+)\]\((\.\./[^)\s]+)\)", _out_of_docs, text[0])
    if page == "index":
        parts = [f"```{{toctree}}\n:hidden:\n:caption: {heading}\n\n" + "\n".join(pages) + "\n```" for heading, pages in NAVIGATION.items()]
        text[0] += "\n" + "\n\n".join(parts) + "\n"


def _out_of_docs(link: re.Match[str]) -> str:
    """A link to a file of the repository leads to the forge, where CI says which that is; elsewhere its text alone is left."""
    target = link[2].removeprefix("../")
    forge = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_SHA")]
    return f"[{link[1]}]({'/'.join([*forge[:2], 'blob', forge[2], target])})" if all(forge) else link[1]


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", _source)
