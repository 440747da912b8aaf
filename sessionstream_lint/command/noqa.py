"""``# noqa`` comments, honoured the way flake8 honours them."""

from __future__ import annotations

import io
import re
import tokenize

from sessionstream_lint.reading.gate import split_lines

# The pattern of flake8: codes that follow one another without a separator are one code, which is none of ours.
INLINE = re.compile(r"# noqa(?::[\s]?(?P<codes>([A-Z]+[0-9]+(?:[,\s]+)?)+))?", re.IGNORECASE)
# At the beginning of a line, whatever follows: flake8 passes by the whole file, also where codes are named.
_FILE = re.compile(r"\s*# flake8[:=]\s*noqa", re.IGNORECASE)


class Suppressions:
    """Answers whether a finding is silenced in one file."""

    def __init__(self, source: str) -> None:
        self._lines = split_lines(source)
        self._ranges = ranges(source) if re.search("noqa", source, re.IGNORECASE) else {}
        self._whole = any(_FILE.match(line) for line in self._lines)

    def silence(self, line: int, code: str) -> bool:
        """Say whether a finding on that line (from 1) is silenced."""
        if self._whole:
            return True
        first, last = self._ranges.get(line, (line, line))
        found = INLINE.search("\n".join(self._lines[first - 1 : last]))
        if found is None:
            return False
        codes = [part for part in re.split(r"[,\s]+", found["codes"] or "") if part]
        return not codes or code.startswith(tuple(codes))  # in capitals, as flake8 wants them


def ranges(source: str) -> dict[int, tuple[int, int]]:
    """Map the lines that a token spans to one range: a comment after a long string applies to all of it."""
    found: dict[int, tuple[int, int]] = {}
    first, last = 0, 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in (tokenize.ENDMARKER, tokenize.DEDENT):
                continue
            first, last = first or token.start[0], max(last, token.end[0])
            if token.type in (tokenize.NL, tokenize.NEWLINE):
                found.update(dict.fromkeys(range(first, last + 1), (first, last)))
                first = last = 0
    except (tokenize.TokenError, SyntaxError):
        return found
    return found
