"""Writing PNG files quickly: one filter for all rows, strips compressed side by side.

Pillow tries all five filters on every row and compresses on one core. On pictures Paeth's filter alone makes
files of the same size in a fifth of the time.
"""

import struct
from collections.abc import Sequence

import numpy as np
from PIL import Image
from zlib_ng import zlib_ng

from modules.imaging.strips import in_strips

__all__ = ["PNG_STRATEGY", "can_write_png", "png_file"]

PNG_STRATEGY = zlib_ng.Z_RLE  # behind PNG's filters smaller than zlib's default on pictures, in half the time
_STRIP = 128 * 1024  # bytes of pixels; the filter's intermediate values then stay in the processor's cache
_MANY_REPEATED = 0.4  # of a strip's bytes; measured on photographs, paintings and screenshots
_PAETH = 4
_COLOUR_TYPES = {"L": 0, "RGB": 2, "RGBA": 6}
_DEFLATE_HEADER = b"\x78\x01"  # a window of 32 KiB, fastest compression


def can_write_png(image: Image.Image) -> bool:
    """Whether :func:`png_file` knows the picture's mode, and nothing but pixels has to be written."""
    return image.mode in _COLOUR_TYPES and not image.info


def png_file(image: Image.Image, chunks: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """A picture as a PNG file. The same picture makes the same bytes on every machine.

    Args:
        image: mode L, RGB or RGBA, 8 bits.
        chunks: names and contents of further chunks, such as texts; they come before the pixels.

    Source: PNG specification, third edition, sections 9 and 11.
    """
    header = struct.pack(">2I5B", image.width, image.height, 8, _COLOUR_TYPES[image.mode], 0, 0, 0)
    pixels = np.asarray(image)
    pixels = pixels.reshape(image.height, image.width, -1)
    parts = [(b"IHDR", [header]), *((kind, [content]) for kind, content in chunks)]
    parts += [(b"IDAT", _deflated(pixels)), (b"IEND", [])]
    return b"".join((b"\x89PNG\r\n\x1a\n", *(piece for part in parts for piece in _chunk(*part))))


def _chunk(kind: bytes, contents: Sequence[bytes]) -> list[bytes]:
    checksum = zlib_ng.crc32(kind)
    for content in contents:
        checksum = zlib_ng.crc32(content, checksum)
    length = sum(map(len, contents))
    return [struct.pack(">I", length), kind, *contents, struct.pack(">I", checksum)]


def _deflated(pixels: np.ndarray) -> list[bytes]:
    """(H, W, C) uint8 as one zlib stream of filtered rows, in pieces."""
    height, width, channels = pixels.shape
    # a black pixel before each row and a black row before all, as the filter wants them
    padded = np.zeros((height + 1, (width + 1) * channels), np.uint8)
    padded[1:, channels:] = pixels.reshape(height, -1)
    filtered = np.empty((height, 1 + width * channels), np.uint8)
    rows = max(1, _STRIP // (width * channels))
    # by one thread, as its many short calls would only wait for those of another one
    for start in range(0, height, rows):
        _filter(padded[start : start + rows + 1], channels, filtered[start : start + rows])

    def pack(start: int, end: int) -> bytes:
        strip = filtered[start:end]
        packer = zlib_ng.compressobj(1, zlib_ng.DEFLATED, -zlib_ng.MAX_WBITS, 9, _strategy(strip))
        # a flushed strip ends at a whole byte, so that strips can be put behind each other
        ending = zlib_ng.Z_FINISH if end == height else zlib_ng.Z_SYNC_FLUSH
        return packer.compress(strip.data) + packer.flush(ending)

    packed = in_strips(height, rows, pack)
    return [_DEFLATE_HEADER, *packed, struct.pack(">I", zlib_ng.adler32(filtered.data))]


def _strategy(filtered: np.ndarray) -> int:
    """Whether to look for runs of equal bytes: where there are few, that takes longer and saves nothing."""
    values = filtered.reshape(-1)
    repeated = np.count_nonzero(values[1:] == values[:-1])
    return PNG_STRATEGY if repeated > _MANY_REPEATED * values.size else zlib_ng.Z_HUFFMAN_ONLY


def _filter(padded: np.ndarray, channels: int, filtered: np.ndarray) -> None:
    """Write rows behind Paeth's filter, the filter's number before each, to ``filtered`` (n, 1 + W * C).

    The prediction is whichever of left, above and upper left is nearest to left + above - upper left. With
    ``up`` from the upper left to the larger of the others (0 if that is smaller) and ``down`` to the smaller
    one, that is the larger one if ``2 * down <= up``, the smaller one if ``2 * up <= down``.

    Args:
        padded: (n + 1, (W + 1) * C) uint8, the row above and a pixel to the left included.
        channels: C.
        filtered: what is written to.
    """
    row, flat = padded.shape[1], padded.reshape(-1)
    first = row + channels  # of the pixels to be predicted; their neighbours lie at fixed distances before
    corner, above, left, current = flat[:-first], flat[channels:-row], flat[row:-channels], flat[first:]
    up, down = np.maximum(left, above), np.minimum(left, above)
    np.maximum(up, corner, out=up)
    up -= corner
    np.minimum(down, corner, out=down)
    np.subtract(corner, down, out=down)
    # masks of 0 and 255 are many times as fast as np.where
    takes_larger, takes_smaller = (
        np.negative(mask.view(np.uint8)) for mask in (down <= up >> 1, up <= down >> 1)
    )
    up &= takes_larger
    down &= takes_smaller
    residual = np.empty(padded[1:].size, np.uint8)
    rest = residual[channels:]
    np.subtract(current, corner, out=rest)
    rest -= up
    rest += down
    filtered[:, 0] = _PAETH
    filtered[:, 1:] = residual.reshape(-1, row)[:, channels:]
