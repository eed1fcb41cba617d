"""Text chunks of a PNG file, read without decoding its pixels."""

import struct
import zlib
from collections.abc import Iterator

__all__ = ["is_png", "png_text_chunks"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_TEXT = 16 * 1024 * 1024  # bytes of one inflated chunk; node graphs have a few hundred kB
_MAX_TOTAL = 64 * 1024 * 1024


def is_png(content: bytes) -> bool:
    """Whether the bytes begin as a PNG file does."""
    return content.startswith(_SIGNATURE)


def png_text_chunks(content: bytes) -> dict[str, str]:
    """Keyword -> text of all tEXt, zTXt and iTXt chunks, wherever in the file they are.

    Damaged chunks are skipped; of several with one keyword the last counts.

    Source: PNG specification, third edition, section 11.3.3.
    """
    found: dict[str, str] = {}
    total = 0
    for kind, chunk in _chunks(content):
        if kind not in {b"tEXt", b"zTXt", b"iTXt"}:
            continue
        keyword, _, rest = chunk.partition(b"\0")
        try:
            text = _decode(kind, rest)
        except (ValueError, zlib.error):
            continue
        total += len(text)
        if total > _MAX_TOTAL:
            break
        found[keyword.decode("latin-1")] = text
    return found


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(_SIGNATURE)
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        if kind == b"IEND":
            return
        yield kind, content[position + 8 : position + 8 + length]
        position += length + 12  # length, kind and checksum


def _decode(kind: bytes, rest: bytes) -> str:
    if kind == b"tEXt":
        return rest.decode("latin-1")
    if kind == b"zTXt":
        return _inflate(rest[1:]).decode("latin-1")
    compressed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[2:]  # flag, method, language, translation
    if not text:
        raise ValueError("incomplete iTXt chunk")
    return (_inflate(text[0]) if compressed else text[0]).decode("utf-8", "replace")


def _inflate(compressed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(compressed, _MAX_TEXT)
    if inflater.unconsumed_tail:
        raise ValueError("text chunk inflates to too much")
    return text
