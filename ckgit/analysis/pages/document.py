"""One page of HTML that needs nothing else: no script runs in it, and nothing is loaded. Text comes as Markdown, whoever wrote it."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

_STYLE = """
:root { color-scheme: light dark; --text: #1c2024; --paper: #fff; --shade: #f3f5f7; --line: #d5d9de; --quiet: #5b6470; --mark: #4a6fa5 }
@media (prefers-color-scheme: dark) {
  :root { --text: #dde1e6; --paper: #16191d; --shade: #22272e; --line: #3d444d; --quiet: #9aa4b0; --mark: #7ea3d8 }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: var(--text);
  background: var(--paper); overflow-wrap: break-word }
h1 { font-size: 1.6rem; line-height: 1.25 }
h2 { font-size: 1.2rem; margin-top: 2rem }
h3 { font-size: 1.05rem; margin-top: 1.5rem }
.wide:has(tr:nth-child(30)) { max-height: 36rem }
.wide { overflow: auto; margin: .8rem 0; width: fit-content; max-width: 100% }
.lead > p:first-child { font-weight: 600 }
.lead { background: var(--shade); border-left: 4px solid var(--mark); padding: .1rem 1rem }
.notice { background: var(--shade); border-left: 4px solid #b7791f; padding: .1rem 1rem; margin-bottom: .8rem }
table { border-collapse: collapse; font-size: .92rem }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top }
td { max-width: 40rem; min-width: 3rem }
th, code { background: var(--shade) }
th { position: sticky; top: 0 }
code { padding: 0 .25em; border-radius: 3px; overflow-wrap: anywhere }
details { margin: .8rem 0; border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem }
summary { cursor: pointer; font-weight: 600 }
img { max-width: 100%; height: auto; background: #fff }
@media print {
  :root { --text: #000; --paper: #fff; --shade: #f3f5f7; --line: #bbb; --quiet: #444; --mark: #4a6fa5 }
  body { font-size: 10pt; max-width: none; margin: 0; padding: 0 }
  table { font-size: 8pt }
  th, td { padding: .15rem .3rem }
  td { min-width: 1.5rem; overflow-wrap: anywhere }
  .wide { overflow: visible; max-height: none }
  th { position: static }
  h2, h3, summary { break-after: avoid }
  tr, img { break-inside: avoid }
  details { border: none; padding: 0 }
  details::details-content { content-visibility: visible; height: auto }
}
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_NONE = ["link", "autolink", "html_inline", "html_block", "reference"]  # of a reference the line itself would vanish


def document(title: str, body: str, style: str = "") -> bytes:
    """The page.

    Args:
        title: plain text.
        body: HTML, as the functions below give it.
        style: rules beside those that all pages have.
    """
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{html.escape(title)}</title>",
    ]
    top = f'<!doctype html>\n<html lang="en"><head>{"".join(head)}<style>{_STYLE}{style}</style></head>'
    return f"{top}\n<body>\n{body}\n</body></html>\n".encode()


def parsed(text: str) -> list[Token]:
    """Markdown as its parts, for `rendered`."""
    return _MARKDOWN.parse(text)


def rendered(parts: Sequence[Token], pictures: Mapping[str, bytes] | None = None) -> str:
    """HTML of Markdown. Each table scrolls by itself where it is too wide.

    Args:
        pictures: SVG by the name that the text gives; of an image that is none of these, its words are shown.
    """
    return str(_MARKDOWN.renderer.render(parts, _MARKDOWN.options, {"pictures": pictures or {}}))


def block(text: str) -> str:
    """HTML of Markdown without pictures."""
    return rendered(parsed(text))


def inline(text: str) -> str:
    """HTML of a line of Markdown."""
    return str(_MARKDOWN.renderInline(text, {"pictures": {}}))


def folded(title: str, content: str, *, unfolded: bool = False) -> str:
    """What is there for those who ask, from two pieces of HTML."""
    return f"<details{' open' if unfolded else ''}><summary>{title}</summary>{content}</details>"


def picture(words: str, svg: bytes) -> str:
    """A picture within the page, as an image, in which no script runs."""
    return f'<img alt="{html.escape(words)}" src="data:image/svg+xml;base64,{base64.b64encode(svg).decode()}">'


def _image(_renderer: Any, tokens: Sequence[Token], at: int, _options: Any, environment: Mapping[str, Any]) -> str:
    token = tokens[at]
    svg = environment["pictures"].get(token.attrs.get("src"))
    return picture(token.content, svg) if svg is not None else html.escape(token.content)


def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable(_NONE)
    made.add_render_rule("image", _image)
    made.add_render_rule("table_open", lambda *_: '<div class="wide"><table>\n')
    made.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return made


_MARKDOWN = _markdown()
