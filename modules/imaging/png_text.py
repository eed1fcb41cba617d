"""Text chunks of a PNG file, read without decoding its pixels; none longer than people write."""

import struct
import zlib
from collections.abc import Iterator

__all__ = ["MAX_TEXTS", "is_png", "longest_text", "png_text_chunks", "too_long"]

MAX_TEXTS = 256  # of one file
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_TEXT = 512 * 1024  # bytes; parameters have some thousand
_MAX_WORKFLOW = 8 * 1024 * 1024  # ComfyUI's picture of its graph: only repeated, never taken apart
_MAX_TOTAL = 16 * 1024 * 1024
_MAX_KEYWORD = 79  # PNG's own limit
_MAX_CHUNKS = 50_000  # 8000 x 8000 pixels in chunks of 4 kB
_KINDS = frozenset({b"tEXt", b"zTXt", b"iTXt"})


class _TooLongError(ValueError):
    """A text has more bytes than are read."""


def is_png(content: bytes) -> bool:
    """Whether the bytes begin as a PNG file does."""
    return content.startswith(_SIGNATURE)


def longest_text(keyword: str) -> int:
    """How many bytes of a text with this keyword are read; none of a longer one."""
    return _MAX_WORKFLOW if keyword == "workflow" else _MAX_TEXT


def too_long(keyword: str) -> str:
    """The sentence about a text that is longer than :func:`longest_text`."""
    return f"{keyword[:_MAX_KEYWORD]}: longer than {longest_text(keyword):,} bytes, so it was not read"


def png_text_chunks(content: bytes, lost: list[str] | None = None) -> dict[str, str]:
    """Keyword -> text of all tEXt, zTXt and iTXt chunks, wherever in the file they are.

    Damaged chunks are skipped; of several with one keyword the last counts.

    Args:
        content: the file.
        lost: gets a sentence for each text that was not read because of its length.

    Source: PNG specification, third edition, section 11.3.3.
    """
    found: dict[str, str] = {}
    skipped: list[str] = []
    left, met = _MAX_TOTAL, 0
    for kind, start, end in _chunks(content):
        mark = content.find(b"\0", start, min(end, start + _MAX_KEYWORD + 1)) if kind in _KINDS else -1
        if mark < 0:
            continue
        keyword = content[start:mark].decode("latin-1")
        met += 1
        if left <= 0 or met > MAX_TEXTS:
            skipped.append("further texts of the file were not read")
            break
        try:
            found[keyword] = text = _text(kind, content, mark + 1, end, longest_text(keyword))
            left -= len(text)
        except _TooLongError:
            left -= longest_text(keyword)  # the work was done
            skipped.append(too_long(keyword))
        except (ValueError, zlib.error):
            left -= end - mark
    if lost is not None:
        lost += skipped
    return found


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and where the content starts and ends."""
    position = len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if position + 8 > len(content):
            return
        length, kind = struct.unpack_from(">I4s", content, position)
        if kind == b"IEND":
            return
        yield kind, position + 8, min(position + 8 + length, len(content))
        position += length + 12  # length, kind and checksum


def _text(kind: bytes, content: bytes, start: int, end: int, limit: int) -> str:
    if end - start > limit + 2 * _MAX_KEYWORD:  # language and translated keyword of an iTXt
        raise _TooLongError
    rest = content[start:end]
    if kind == b"tEXt":
        return _within(rest, limit).decode("latin-1")
    if kind == b"zTXt":
        return _inflate(rest[1:], limit).decode("latin-1")
    compressed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[2:]  # flag, method, language, translation
    if not text:
        raise ValueError("incomplete iTXt chunk")
    return (_inflate(text[0], limit) if compressed else _within(text[0], limit)).decode("utf-8", "replace")


def _within(text: bytes, limit: int) -> bytes:
    if len(text) > limit:
        raise _TooLongError
    return text


def _inflate(compressed: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(compressed, limit)
    if inflater.unconsumed_tail:
        raise _TooLongError
    return text
