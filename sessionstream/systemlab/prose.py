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
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

if TYPE_CHECKING:
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

_ENTRY: Final = re.compile(r"(?:\.\./\w+/)?(?P<slug>[\w-]+)\.md")
_OUTLINE: Final = (1, 2)
_CLASSES: Final = HtmlFormatter(nowrap=True, classprefix="code-")
"""Writes the kinds of tokens as classes, whose colours are in prose.css."""


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


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and the text up to the next one, without markup; the first of a page has no heading."""

    heading: str
    anchor: str
    text: str


def sections(text: str) -> list[Section]:
    """Return the sections of Markdown, in order."""
    tokens = _PARSER.parse(text)
    headings = iter(_headings(tokens))
    found = list[Section]()
    heading, pieces, in_heading = Heading(0, "", ""), list[str](), False
    for token in tokens:
        match token.type:
            case "heading_open":
                found.append(_section(heading, pieces))
                heading, pieces, in_heading = next(headings), [], True
            case "heading_close":
                in_heading = False
            case "inline" if not in_heading:
                pieces.append("".join(child.content or " " for child in token.children or ()))
            case "fence" | "code_block":
                pieces.append(token.content)
    return [*found, _section(heading, pieces)]


def _section(heading: Heading, pieces: Sequence[str]) -> Section:
    return Section(heading.text, heading.anchor, " ".join(" ".join(pieces).split()))


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
    """Render a block of code that the keyboard can scroll, highlighted if its language is known."""
    token = tokens[index]
    language = token.info.split(" ")[0]
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        code = Markup.escape(token.content)
    else:
        code = Markup(highlight(token.content, lexer, _CLASSES))  # noqa: S704 - Pygments escapes it
    return Markup('<pre tabindex="0"><code class="language-{}">{}</code></pre>\n').format(language, code)


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
