"""Writing small functions in LLVM's language and turning them into machine code where the program runs.

No compiler need be installed: llvmlite brings LLVM along. :class:`Emitter` names the few things that the
kernels of this program consist of: addresses, loops, vectors of 16 numbers, and the tile registers of AMX,
eight matrices of 16 rows of 64 bytes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TypeAlias

import llvmlite.binding as llvm
from llvmlite import ir

__all__ = [
    "BYTES",
    "FLOAT",
    "FLOATS",
    "INT",
    "LANES",
    "POINTER",
    "TILE",
    "Emitter",
    "Value",
    "compile_function",
]

LANES = 16
"""32-bit numbers in a vector register, and rows of a tile."""
BYTES = 64
"""Of a vector register, of a tile's row, and of a line of the cache."""
TILE = LANES * BYTES
"""Bytes of a tile."""

Value: TypeAlias = ir.Value


class _BFloat(ir.types.Type):
    """LLVM's bfloat, which llvmlite's builder does not name."""

    null = "0.0"

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


INT, FLOAT, POINTER, _VOID = ir.IntType(64), ir.FloatType(), ir.PointerType(), ir.VoidType()
_BYTE, _BIT, _MASK = ir.IntType(8), ir.IntType(1), ir.IntType(16)
FLOATS = ir.VectorType(FLOAT, LANES)
_INTS, _HALVES = ir.VectorType(ir.IntType(32), LANES), ir.VectorType(_MASK, LANES)
_LONGS, _POINTERS = ir.VectorType(INT, LANES), ir.VectorType(POINTER, LANES)
_PAIRS = ir.VectorType(_BFloat(), 2 * LANES)
_LANE_NUMBERS = ir.Constant(_LONGS, list(range(LANES)))
_ROUND_DOWN, _CURRENT_ROUNDING = ir.Constant(ir.IntType(32), 9), ir.Constant(ir.IntType(32), 4)
_ALL_LANES = ir.Constant(_MASK, -1)


class Emitter:
    """Writes one function.

    Args:
        name: of the function.
        arguments: their types; see :attr:`arguments`.
    """

    def __init__(self, name: str, arguments: Sequence[ir.Type]) -> None:
        self.module = ir.Module(name)
        function = ir.Function(self.module, ir.FunctionType(INT, arguments), name)
        self.arguments: tuple[Value, ...] = tuple(function.args)
        self.build = ir.IRBuilder(function.append_basic_block("entry"))

    # numbers and addresses

    def number(self, value: "int | Value") -> Value:
        """A 64-bit integer."""
        return ir.Constant(INT, value) if isinstance(value, int) else value

    def at(self, base: Value, *offsets: "int | Value") -> Value:
        """The address so many bytes behind another."""
        total = self.number(offsets[0])
        for offset in offsets[1:]:
            total = self.build.add(total, self.number(offset))
        return self.build.gep(base, [total], source_etype=_BYTE)

    def times(self, value: Value, factor: int) -> Value:
        """A product with a fixed number."""
        return self.build.mul(value, self.number(factor))

    def is_less(self, left: Value, right: "int | Value") -> Value:
        """Whether one integer is below another."""
        return self.build.icmp_signed("<", left, self.number(right))

    @contextmanager
    def loop(self, stop: "int | Value", step: int = 1) -> Iterator[Value]:
        """A loop from 0 below ``stop``, which must be positive; gives the counter."""
        build, before = self.build, self.build.block
        body = build.append_basic_block("loop")
        build.branch(body)
        build.position_at_end(body)
        counter = build.phi(INT)
        counter.add_incoming(self.number(0), before)
        yield counter
        following = build.add(counter, self.number(step))
        counter.add_incoming(following, build.block)
        behind = build.append_basic_block("behind")
        build.cbranch(self.is_less(following, stop), body, behind)
        build.position_at_end(behind)

    # vectors of 16

    def load(self, address: Value, kind: ir.Type = FLOATS, align: int = 4) -> Value:
        """What lies at an address."""
        return self.build.load(address, typ=kind, align=align)

    def store(self, value: Value, address: Value, align: int = 4) -> None:
        """Put something at an address."""
        self.build.store(value, address, align=align)

    def floats(self, value: "float | Value") -> Value:
        """The same number in all lanes."""
        if isinstance(value, float):
            return ir.Constant(FLOATS, [value] * LANES)
        return self._spread(value, FLOATS)

    def multiply_add(self, x: Value, y: Value, z: Value) -> Value:
        """``x * y + z``."""
        return self._call("llvm.fma.v16f32", FLOATS, x, y, z)

    def larger(self, x: Value, y: Value) -> Value:
        """The larger of two, lane by lane."""
        return self.build.select(self.build.fcmp_ordered(">", x, y, flags=["fast"]), x, y)

    def largest(self, x: Value) -> Value:
        """The largest lane."""
        return self._call("llvm.vector.reduce.fmax.v16f32", FLOAT, x)

    def total(self, x: Value) -> Value:
        """The sum of the lanes."""
        zero = ir.Constant(FLOAT, 0.0)
        return self._call("llvm.vector.reduce.fadd.v16f32", FLOAT, zero, x, fastmath=("reassoc",))

    def fraction(self, x: Value) -> Value:
        """``x - floor(x)``."""
        name = "llvm.x86.avx512.mask.reduce.ps.512"
        return self._call(name, FLOATS, x, _ROUND_DOWN, self.floats(0.0), _ALL_LANES, _CURRENT_ROUNDING)

    def scale_by_power(self, x: Value, exponent: Value) -> Value:
        """``x * 2**floor(exponent)``; infinity or 0 where no number holds that."""
        name = "llvm.x86.avx512.mask.scalef.ps.512"
        return self._call(name, FLOATS, x, exponent, self.floats(0.0), _ALL_LANES, _CURRENT_ROUNDING)

    def is_lane_below(self, count: Value) -> Value:
        """For each lane whether its number is below ``count``."""
        return self.build.icmp_signed("<", _LANE_NUMBERS, self._spread(count, _LONGS))

    def gather(self, base: Value, stride: Value, offset: int, mask: Value) -> Value:
        """A 32-bit word from each of 16 rows, ``stride`` bytes apart; 0 where the mask is not set."""
        build = self.build
        offsets = build.add(
            build.mul(_LANE_NUMBERS, self._spread(stride, _LONGS)), ir.Constant(_LONGS, [offset] * LANES)
        )
        rows = build.inttoptr(build.add(self._spread(build.ptrtoint(base, INT), _LONGS), offsets), _POINTERS)
        return self._call("llvm.masked.gather.v16i32.v16p0", _INTS, rows, mask, self.zero_words())

    def zero_words(self) -> Value:
        """16 words of 32 bits, all 0."""
        return ir.Constant(_INTS, [0] * LANES)

    # vectors of 16-bit floats

    def load_halves(self, address: Value, count: int, *, where: Value | None = None) -> Value:
        """Up to 16 numbers of 16 bits, zeros behind them; all zeros where the condition does not hold."""
        if count <= 0:
            return ir.Constant(_HALVES, [0] * LANES)
        part = self.load(address, ir.VectorType(_MASK, count), 2)
        lanes = ir.Constant(_INTS, [min(lane, count) for lane in range(LANES)])
        full = self.build.shuffle_vector(part, ir.Constant(part.type, [0] * count), lanes)
        return full if where is None else self.build.select(where, full, ir.Constant(_HALVES, [0] * LANES))

    def store_halves(self, x: Value, address: Value, count: int) -> None:
        """Round the first lanes to bfloat16 and put them at an address."""
        rounded = self.build.fptrunc(x, ir.VectorType(_BFloat(), LANES))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(count)))
        self.store(
            self.build.shuffle_vector(rounded, ir.Constant(rounded.type, ir.Undefined), lanes), address, 2
        )

    def interleave(self, first: Value, second: Value) -> Value:
        """32 numbers of 16 bits, from two vectors in turn."""
        lanes = [lane for pair in zip(range(LANES), range(LANES, 2 * LANES), strict=True) for lane in pair]
        return self.build.shuffle_vector(
            first, second, ir.Constant(ir.VectorType(ir.IntType(32), 2 * LANES), lanes)
        )

    def round_both(self, first: Value, second: Value) -> Value:
        """32 numbers in bfloat16, one vector behind the other."""
        return self._call("llvm.x86.avx512bf16.cvtne2ps2bf16.512", _PAIRS, second, first)

    # tiles

    def configure_tiles(self, place: Value) -> None:
        """Give all eight tiles 16 rows of 64 bytes; needs 64 bytes to say so."""
        words = [
            1,
            0,
            BYTES * 0x1_0001_0001_0001,
            BYTES * 0x1_0001_0001_0001,
            0,
            0,
            LANES * 0x0101_0101_0101_0101,
            0,
        ]
        self.store(ir.Constant(ir.VectorType(INT, len(words)), words), place)
        self._call("llvm.x86.ldtilecfg", _VOID, place)

    def release_tiles(self) -> None:
        """Leave the tile unit as it was."""
        self._call("llvm.x86.tilerelease", _VOID)

    def clear_tile(self, tile: int) -> None:
        """Fill a tile with zeros."""
        self._call("llvm.x86.tilezero", _VOID, ir.Constant(_BYTE, tile))

    def load_tile(self, tile: int, address: Value) -> None:
        """Fill a tile with 1024 bytes."""
        self._call("llvm.x86.tileloadd64", _VOID, ir.Constant(_BYTE, tile), address, self.number(BYTES))

    def store_tile(self, tile: int, address: Value) -> None:
        """Put a tile's 1024 bytes at an address."""
        self._call("llvm.x86.tilestored64", _VOID, ir.Constant(_BYTE, tile), address, self.number(BYTES))

    def multiply_tiles(self, into: int, left: int, right: int) -> None:
        """Add a product to a tile: (16, 32) bfloat16 times (32, 16) bfloat16, the latter's rows in pairs."""
        self._call("llvm.x86.tdpbf16ps", _VOID, *(ir.Constant(_BYTE, tile) for tile in (into, left, right)))

    def _spread(self, value: Value, kind: ir.VectorType) -> Value:
        unknown, first = ir.Constant(kind, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        single = self.build.insert_element(unknown, value, first)
        return self.build.shuffle_vector(single, unknown, self.zero_words())

    def _call(self, name: str, result: ir.Type, *arguments: Value, fastmath: tuple[str, ...] = ()) -> Value:
        known = self.module.globals.get(name)
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = ir.Function(self.module, kind, name) if known is None else known
        return self.build.call(function, arguments, fastmath=fastmath)


def compile_function(module: ir.Module, features: str) -> tuple[int, object]:
    """Turn a module into machine code for this processor.

    Args:
        module: with one function of the module's own name.
        features: instruction sets the function uses, as LLVM names them: ``"+amx-bf16,+avx512f"``.

    Returns:
        The function's address, and what keeps the code in memory.

    Raises:
        RuntimeError: LLVM does not accept the module.
    """
    _start_llvm()
    code = llvm.parse_assembly(str(module))
    code.verify()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3
    )
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    passes = llvm.create_pass_builder(machine, tuning)
    passes.getModulePassManager().run(code, passes)
    engine = llvm.create_mcjit_compiler(code, machine)
    engine.finalize_object()
    return engine.get_function_address(module.name), engine


@cache
def _start_llvm() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
