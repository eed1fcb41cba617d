"""The machine code of :mod:`modules.runtime.tile_attention`: one function for one head, written with LLVM."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from modules.runtime.machine_code import BYTES, FLOAT, INT, LANES, POINTER, TILE, Emitter, Value

__all__ = ["FEATURES", "PAGE", "Layout", "write_kernel"]

FEATURES = "+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512bf16,+amx-tile,+amx-bf16,+fma,-prefer-256-bit"
_BLOCK = 32  # keys at a time: one product of weights and values is that deep
_SCORE_TILES, _LEFT, _RIGHT = (5, 4), 6, 7  # tile registers; the sums have the first ones
PAGE = (
    4096  # a block's scores (2 tiles), its weights (1 tile); in the first page also sums of weights (1 tile)
)
_SUMS_OF_WEIGHTS = 3 * TILE
_NOWHERE = -1e30  # a score so low that its weight is 0
_LARGEST_SUM = 2.0**100  # of weights; below it no sum of values overflows
_POWERS_OF_TWO = (0.99992522, 0.69583354, 0.22606716, 0.07802453)  # 2^x, 0 <= x <= 1, within 1.1e-4 of it


@dataclass(frozen=True)
class Layout:
    """Where things lie in a thread's memory, in bytes from its beginning.

    Attributes:
        width: of a head.
    """

    width: int

    @property
    def depth(self) -> int:
        """Tiles that hold 16 queries, or 16 keys."""
        return math.ceil(self.width / _BLOCK)

    @property
    def columns(self) -> int:
        """Tiles that hold the values of 32 keys, or the sums of 16 queries."""
        return math.ceil(self.width / LANES)

    @property
    def products(self) -> int:
        """Steps with the tile unit that a block takes."""
        return 2 * self.depth + 2 + self.columns

    @property
    def queries(self) -> int:
        """The 16 queries, behind a page for every other block."""
        return 2 * PAGE

    @property
    def sums(self) -> int:
        """Sums of values."""
        return self.queries + self.depth * TILE

    @property
    def references(self) -> int:
        """-m of each query."""
        return self.sums + self.columns * TILE

    @property
    def tiles(self) -> int:
        """Shape of the tiles."""
        return self.references + BYTES

    @property
    def fixed(self) -> int:
        """What does not depend on the number of keys; the keys lie behind it, then their values."""
        return self.tiles + BYTES

    @property
    def bytes_of_a_block(self) -> tuple[int, int]:
        """32 keys, and their values."""
        return 2 * self.depth * TILE, self.columns * TILE

    def bytes_of_keys(self, keys: int) -> int:
        """Keys and values; one more block of keys is read ahead."""
        return (math.ceil(keys / _BLOCK) + 1) * sum(self.bytes_of_a_block)


def write_kernel(width: int) -> Emitter:
    """The kernel for one width of heads.

    Its arguments: addresses of queries, keys, values, result and scratch memory; bytes from row to row of the
    first four; how many queries and keys; the scale. It returns how many queries overflowed.
    """
    return _Writer(width).emit


class _Writer:
    """Writes the kernel, piece by piece."""

    def __init__(self, width: int) -> None:
        self.layout = Layout(width)
        self.emit = emit = Emitter("attend", [POINTER] * 5 + [INT] * 6 + [FLOAT])
        (self.q, self.k, self.v, self.out, self.scratch, *strides) = emit.arguments[:9]
        self.q_stride, self.k_stride, self.v_stride, self.out_stride = strides
        self.length, self.keys, scale = emit.arguments[9:]
        self.scale = emit.floats(scale)
        block_of_keys, _ = self.layout.bytes_of_a_block
        self.blocks = emit.build.sdiv(emit.build.add(self.keys, emit.number(_BLOCK - 1)), emit.number(_BLOCK))
        self.packed_keys = self._own(self.layout.fixed)
        room = emit.times(emit.build.add(self.blocks, emit.number(1)), block_of_keys)
        self.packed_values = emit.at(self.packed_keys, room)
        emit.configure_tiles(self._own(self.layout.tiles))
        self._pack_keys()
        self._pack_values()
        overflowed = emit.build.alloca(INT)
        emit.store(emit.number(0), overflowed, 8)
        with emit.loop(self.length, LANES) as first:
            self._copy_queries(first)
            self._attend()
            self._finish(first, overflowed)
        emit.release_tiles()
        emit.build.ret(emit.load(overflowed, INT, 8))

    def _own(self, *offsets: "int | Value") -> Value:
        return self.emit.at(self.scratch, *offsets)

    def _page(self, block: Value) -> Value:
        """The page of a block."""
        odd = self.emit.build.and_(block, self.emit.number(1))
        return self._own(self.emit.times(odd, PAGE))

    # what is prepared for the tile unit

    def _pack_keys(self) -> None:
        """Make tiles whose columns are 16 keys each, pairs of features one below another."""
        emit, depth = self.emit, self.layout.depth
        with emit.loop(emit.build.shl(emit.build.add(self.blocks, emit.number(1)), emit.number(1))) as group:
            first = emit.times(group, LANES)
            source = emit.at(self.k, emit.build.mul(first, self.k_stride))
            target = emit.at(self.packed_keys, emit.times(group, depth * TILE))
            is_key = emit.is_lane_below(emit.build.sub(self.keys, first))
            for pair in range(depth * LANES):
                has_any = 2 * pair < self.layout.width
                words = emit.gather(source, self.k_stride, 4 * pair, is_key) if has_any else emit.zero_words()
                emit.store(words, emit.at(target, pair * BYTES), BYTES)

    def _pack_values(self) -> None:
        """Make tiles of the values of 32 keys each, pairs of keys one beside another."""
        emit, columns = self.emit, self.layout.columns
        with emit.loop(emit.times(self.blocks, LANES)) as pair:
            tile = emit.times(emit.build.ashr(pair, emit.number(4)), columns * TILE)
            line = emit.times(emit.build.and_(pair, emit.number(LANES - 1)), BYTES)
            rows = [emit.build.add(emit.times(pair, 2), emit.number(which)) for which in range(2)]
            are_keys = [emit.is_less(row, self.keys) for row in rows]
            sources = [
                emit.at(self.v, emit.build.mul(emit.build.select(is_key, row, emit.number(0)), self.v_stride))
                for row, is_key in zip(rows, are_keys, strict=True)
            ]
            for column in range(columns):
                count = min(LANES, self.layout.width - LANES * column)
                first, second = (
                    emit.load_halves(emit.at(source, 2 * LANES * column), count, where=is_key)
                    for source, is_key in zip(sources, are_keys, strict=True)
                )
                place = emit.at(self.packed_values, tile, line, column * TILE)
                emit.store(emit.interleave(first, second), place, BYTES)

    def _copy_queries(self, first: Value) -> None:
        """Copy 16 queries into tiles, zeros behind the features; the last stands in for missing ones."""
        emit, last = self.emit, self.emit.build.sub(self.length, self.emit.number(1))
        with emit.loop(LANES) as lane:
            row = emit.build.add(first, lane)
            row = emit.build.select(emit.is_less(row, self.length), row, last)
            source = emit.at(self.q, emit.build.mul(row, self.q_stride))
            for part in range(2 * self.layout.depth):
                halves = emit.load_halves(
                    emit.at(source, 2 * LANES * part), min(LANES, self.layout.width - LANES * part)
                )
                place = self._own(
                    self.layout.queries + part // 2 * TILE + part % 2 * (BYTES // 2), emit.times(lane, BYTES)
                )
                emit.store(halves, place, BYTES // 2)

    # the three things that are done with a block

    def _scores(self, block: Value) -> Iterator[None]:
        """Multiply 16 queries and 32 keys, a little at each step."""
        emit, depth = self.emit, self.layout.depth
        keys = emit.at(self.packed_keys, emit.times(block, self.layout.bytes_of_a_block[0]))
        page = self._page(block)
        free = [tile for tile in _SCORE_TILES if tile >= self.layout.columns]
        for halves in ((0, 1),) if len(free) > 1 else ((0,), (1,)):
            tiles = dict(zip(halves, free, strict=False))
            for tile in tiles.values():
                emit.clear_tile(tile)
            for part in range(depth):
                emit.load_tile(_LEFT, self._own(self.layout.queries + part * TILE))
                for half, tile in tiles.items():
                    emit.load_tile(_RIGHT, emit.at(keys, (half * depth + part) * TILE))
                    emit.multiply_tiles(tile, _LEFT, _RIGHT)
                    yield
            for half, tile in tiles.items():
                emit.store_tile(tile, emit.at(page, half * TILE))
                yield

    def _values(self, block: Value) -> Iterator[None]:
        """Add the values of 32 keys, by their weights, to the sums of 16 queries, a little at each step."""
        emit, zero = self.emit, self.emit.number(0)
        # before the first block lies none: its weights are 0, and any values will do
        there = emit.build.select(emit.is_less(block, zero), zero, block)
        values = emit.at(self.packed_values, emit.times(there, self.layout.bytes_of_a_block[1]))
        emit.load_tile(_LEFT, emit.at(self._page(block), 2 * TILE))
        for column in range(self.layout.columns):
            emit.load_tile(_RIGHT, emit.at(values, column * TILE))
            emit.multiply_tiles(column, _LEFT, _RIGHT)
            yield

    def _weights(self, block: Value) -> Iterator[None]:
        """Make weights of scores, a query at each step."""
        emit, page = self.emit, self._page(block)
        for lane in range(LANES):
            reference = emit.floats(emit.load(self._own(self.layout.references + 4 * lane), FLOAT))
            halves = []
            for half in range(2):
                scores = emit.load(emit.at(page, half * TILE + lane * BYTES), align=BYTES)
                halves.append(self._power_of_two(emit.multiply_add(scores, self.scale, reference)))
            emit.store(emit.round_both(*halves), emit.at(page, 2 * TILE + lane * BYTES), BYTES)
            place = self._own(_SUMS_OF_WEIGHTS + lane * BYTES)
            both = emit.build.fadd(*halves)
            emit.store(emit.build.fadd(emit.load(place, align=BYTES), both), place, BYTES)
            yield

    def _power_of_two(self, x: Value) -> Value:
        emit = self.emit
        fraction, *lower = emit.fraction(x), *map(emit.floats, reversed(_POWERS_OF_TWO))
        power = lower[0]
        for coefficient in lower[1:]:
            power = emit.multiply_add(power, fraction, coefficient)
        return emit.scale_by_power(power, x)

    # 16 queries

    def _attend(self) -> None:
        emit, build = self.emit, self.emit.build
        zero, one = emit.number(0), emit.number(1)
        _do(self._scores(zero))
        self._hide_missing_keys(zero)
        self._choose_references()
        for column in range(self.layout.columns):
            emit.clear_tile(column)
        with emit.loop(self.blocks) as block:
            following, before = build.add(block, one), build.sub(block, one)
            products = chain(self._scores(following), self._values(before))
            _do_meanwhile(self._weights(block), products, self.layout.products)
            self._hide_missing_keys(following)
        _do(self._values(build.sub(self.blocks, one)))
        for column in range(self.layout.columns):
            emit.store_tile(column, self._own(self.layout.sums + column * TILE))

    def _hide_missing_keys(self, block: Value) -> None:
        """Where the keys end within a block, lower the scores of those behind the end."""
        emit, build = self.emit, self.emit.build
        left = build.sub(self.keys, emit.times(block, _BLOCK))
        with build.if_then(emit.is_less(left, _BLOCK), likely=False):
            page = self._page(block)
            for half in range(2):
                is_key = emit.is_lane_below(build.sub(left, emit.number(half * LANES)))
                with emit.loop(LANES) as lane:
                    place = emit.at(page, half * TILE, emit.times(lane, BYTES))
                    scores = emit.load(place, align=BYTES)
                    emit.store(build.select(is_key, scores, emit.floats(_NOWHERE)), place, BYTES)

    def _choose_references(self) -> None:
        """Take each query's largest score of the first block; begin all sums with 0."""
        emit = self.emit
        with emit.loop(LANES) as lane:
            line = emit.times(lane, BYTES)
            scores = [emit.load(self._own(half * TILE, line), align=BYTES) for half in range(2)]
            scaled = [emit.build.fmul(each, self.scale) for each in scores]
            reference = emit.build.fneg(emit.largest(emit.larger(*scaled)))
            emit.store(reference, self._own(self.layout.references, emit.times(lane, 4)))
            for start in (
                _SUMS_OF_WEIGHTS,
                PAGE + 2 * TILE,
            ):  # the latter: weights of the block before the first
                emit.store(emit.floats(0.0), self._own(start, line), BYTES)

    def _finish(self, first: Value, overflowed: Value) -> None:
        """Divide sums of values by sums of weights and write the result."""
        emit, build, layout = self.emit, self.emit.build, self.layout
        left = build.sub(self.length, first)
        count = build.select(emit.is_less(left, LANES), left, emit.number(LANES))
        with emit.loop(count) as lane:
            line = emit.times(lane, BYTES)
            total = emit.total(emit.load(self._own(_SUMS_OF_WEIGHTS, line), align=BYTES))
            is_fine = build.fcmp_ordered("<", total, FLOAT(_LARGEST_SUM))
            more = build.select(is_fine, emit.number(0), emit.number(1))
            emit.store(build.add(emit.load(overflowed, INT, 8), more), overflowed, 8)
            divisor = emit.floats(total)
            target = emit.at(self.out, build.mul(build.add(first, lane), self.out_stride))
            for column in range(layout.columns):
                sums = emit.load(self._own(layout.sums + column * TILE, line), align=BYTES)
                here = min(LANES, layout.width - LANES * column)
                emit.store_halves(build.fdiv(sums, divisor), emit.at(target, 2 * LANES * column), here)


def _do(steps: Iterator[None]) -> None:
    for _ in steps:
        pass


def _do_meanwhile(steps: Iterator[None], others: Iterator[None], count: int) -> None:
    """Write one step for each query, and ``count`` others spread among them, so that both units have work."""
    for number, _ in enumerate(steps):
        for _ in range(number * count // LANES, (number + 1) * count // LANES):
            next(others)
    _do(others)
