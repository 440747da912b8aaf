"""Deltas between encoded payloads: pure functions from bytes to bytes.

A delta builds one encoded payload, the ``target``, from another, the ``base``. It is a sequence of steps, each::

    varint n, n bytes        put these bytes into the target
    varint skip, varint run  leave out ``skip`` bytes of the base, copy the next ``run`` into the target

Encoded protobuf puts the length of a text or a message before it, so appending to a text also changes a few bytes in
front of it, and the two payloads have hardly a common prefix or suffix. So after a run of equal bytes ends, the search
goes on behind the change, within a short distance.
"""

from __future__ import annotations

from typing import Final

MIN_SIZE: Final = 512
"""Bytes of target and base below which no delta is made."""

_ANCHOR: Final = 12  # bytes that have to agree for a run to begin again
_LOST: Final = 16  # bytes of the target that may have no counterpart in between
_SKIPPED: Final = 1024  # bytes of the base that may be left out in between
_PIECE: Final = 128  # bytes that are compared bit by bit
_STEPS: Final = 16  # payloads with more changes than this are kept in full


def delta(target: bytes, base: bytes) -> bytes | None:
    """Return the delta that builds ``target`` from ``base``, or None if it would be longer than half of ``target``.

    Takes time in proportion to the bytes that both have in common, and bounded time if they have none.
    """
    if len(target) < MIN_SIZE or len(base) < MIN_SIZE:
        return None
    out = bytearray()
    at = here = _common(target, base)
    tail = _common(target[at:], base[here:], backwards=True)
    end, base_end = len(target) - tail, len(base) - tail
    _copy(out, b"", 0, at)
    for _ in range(_STEPS):
        found = _resume(target, at, end, base, here, base_end)
        if found is None:
            break
        resumed, start = found
        run = _common(target[resumed:end], base[start:base_end])
        _copy(out, target[at:resumed], start - here, run)
        at, here = resumed + run, start + run
    _copy(out, target[at:end], base_end - here, tail)
    return bytes(out) if len(out) * 2 <= len(target) else None


def patched(base: bytes, steps: bytes) -> bytes:
    """Return the target of a delta.

    Raises:
        ValueError: the delta is damaged, or belongs to another base.
    """
    parts = []
    at = here = 0
    view = memoryview(base)
    while at < len(steps):
        count, at = _read(steps, at)
        if count > len(steps) - at:
            raise ValueError("a delta ends in the middle of its bytes")
        parts.append(memoryview(steps)[at : at + count])
        at += count
        skip, at = _read(steps, at)
        run, at = _read(steps, at)
        here += skip
        if here + run > len(base):
            raise ValueError("a delta reaches beyond its base")
        parts.append(view[here : here + run])
        here += run
    return b"".join(parts)


def _common(one: bytes, other: bytes, *, backwards: bool = False) -> int:
    """Return how many bytes agree from the beginning on, or from the end backwards."""
    limit = min(len(one), len(other))

    def pieces(known: int, more: int) -> tuple[bytes, bytes]:
        if not backwards:
            return one[known : known + more], other[known : known + more]
        return (
            one[len(one) - known - more : len(one) - known],
            other[len(other) - known - more : len(other) - known],
        )

    def same(known: int, more: int) -> bool:
        a, b = pieces(known, more)
        return a == b

    known, more = 0, min(_PIECE, limit)
    if same(0, more):
        if same(more, limit - more):
            return limit
        while same(known, more):  # ever larger pieces, until one differs
            known += more
            more = min(2 * more, limit - known)
    while more > _PIECE:  # and then ever smaller ones
        half = more // 2
        if same(known, half):
            known += half
            more -= half
        else:
            more = half
    a, b = (int.from_bytes(piece, "little") for piece in pieces(known, more))
    differing = a ^ b
    if backwards:
        return known + more - (differing.bit_length() + 7) // 8
    return known + ((differing & -differing).bit_length() - 1) // 8


def _resume(target: bytes, at: int, end: int, base: bytes, here: int, base_end: int) -> tuple[int, int] | None:
    """Return where in target and base the next run begins, or None if it does not begin nearby."""
    for start in range(at, min(at + _LOST, end - _ANCHOR + 1)):
        found = base.find(target[start : start + _ANCHOR], here, min(here + _SKIPPED, base_end))
        if found >= 0:
            return start, found
    return None


def _copy(out: bytearray, put: bytes, skip: int, run: int) -> None:
    _number(out, len(put))
    out += put
    _number(out, skip)
    _number(out, run)


def _number(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _read(steps: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(steps):
            raise ValueError("a delta ends in the middle of a number")
        byte = steps[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
