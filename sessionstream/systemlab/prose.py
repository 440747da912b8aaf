"""Markdown to HTML: headings to link to, links between entries of the help, blocks that the keyboard can scroll."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

_ENTRY: Final = re.compile(r"(?:\.\./\w+/)?(?P<slug>[\w-]+)\.md")
_OUTLINE: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading: its level from 1, its text, and its id for links."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Prose:
    """A page of Markdown, rendered.

    Attributes:
        html: safe for a page: HTML in the source is escaped.
        outline: the headings of the first two levels.
    """

    html: Markup
    outline: tuple[Heading, ...]


def render(text: str, *, below: int = 0) -> Prose:
    """Render Markdown.

    Args:
        text: the source.
        below: the number of levels by which headings are lowered, to be below those of the page.
    """
    tokens = _PARSER.parse(text)
    headings = list(_headings(tokens))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + below)}"
    html = _PARSER.renderer.render(tokens, _PARSER.options, {})
    # The parser escapes all HTML of the source.
    return Prose(Markup(html), tuple(heading for heading in headings if heading.level in _OUTLINE))  # noqa: S704


def _headings(tokens: Sequence[Token]) -> list[Heading]:
    """Give every heading an id, as GitHub does, and return them."""
    found: list[Heading] = []
    taken: set[str] = set()
    for token, inline in pairwise(tokens):
        if token.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or ())
        anchor = base = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = 0
        while anchor in taken:
            number += 1
            anchor = f"{base}-{number}"
        taken.add(anchor)
        token.attrSet("id", anchor)
        found.append(Heading(int(token.tag[1]), text, anchor))
    return found


def _link(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """Replace a link to another entry of the help by its URL in the lab."""
    token = tokens[index]
    target = urlsplit(str(token.attrGet("href") or ""))
    if not target.scheme and (entry := _ENTRY.fullmatch(target.path)):
        token.attrSet("href", f"/docs/{entry['slug']}" + (f"#{target.fragment}" if target.fragment else ""))
    return renderer.renderToken(tokens, index, options, env)


def _fence(_: RendererHTML, tokens: Sequence[Token], index: int, *_more: Any) -> str:
    """Render a block of code that the keyboard can scroll."""
    token = tokens[index]
    language = Markup.escape(token.info.split(" ")[0])
    return Markup('<pre tabindex="0"><code class="language-{}">{}</code></pre>\n').format(language, token.content)


def _table_open(*_: Any) -> str:
    return '<div class="scroll" tabindex="0" role="group" aria-label="Table">\n<table>\n'


def _table_close(*_: Any) -> str:
    return "</table>\n</div>\n"


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("link_open", _link)
    parser.add_render_rule("fence", _fence)
    parser.add_render_rule("table_open", _table_open)
    parser.add_render_rule("table_close", _table_close)
    return parser


_PARSER: Final = _parser()
