r"""Prompt editing: ``[from:to:when]`` and ``[a|b|c]`` become texts for ranges of sampling steps.

The reference resolves an ambiguous grammar with a general parser of cubic cost. Read closely, the grammar
has one reading that matters: a bracket is a construct exactly if everything inside it is text or again a
construct; otherwise its characters are literal. That is decided with one stack in one pass. The result is
a list of tokens with jumps: reading it at a step means walking along it and jumping over the parts that
are not chosen.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["prompt_schedule"]

_TOKEN = re.compile(r"(?:[^\\\[\]():|]+|\\.)+|[\[\]():|]")
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")


@dataclass(frozen=True, slots=True)
class _Choice:
    """A schedule or an alternation: which of its parts to read, and where to go on afterwards."""

    parts: tuple[int, ...]  # index of each part's first token
    end: int  # index of the token after the closing bracket
    when: str | None = None  # a schedule's number as written; None for an alternation


@dataclass(slots=True)
class _Open:
    """A bracket whose end was not seen yet."""

    index: int
    bracket: str
    colons: list[int] = field(default_factory=list)
    bars: list[int] = field(default_factory=list)
    holds_stray: bool = False


@dataclass(frozen=True, slots=True)
class _Timeline:
    """How many steps there are and how a written number becomes a step."""

    steps: int
    base_steps: int
    is_hires: bool
    use_old: bool

    def boundary(self, when: str) -> int:
        """Last step of the first part, 0 to ``steps``."""
        value = float(when)
        if self.use_old:
            value = value * self.steps if value < 1 else value
        elif "." in when:  # a fraction; 1.0 to 2.0 belong to the hires pass
            value = (value - (1.0 if self.is_hires else 0.0)) * self.steps
        else:
            value -= self.base_steps if self.is_hires else 0
        return int(min(max(value, 0.0), self.steps))


class _Program:
    """Tokens of a prompt, and at some of them a jump."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.jumps: list[_Choice | int | None] = [None] * len(tokens)

    def add(self, start: int, choice: _Choice, delimiters: Iterable[int]) -> None:
        self.jumps[start] = choice
        for delimiter in delimiters:
            self.jumps[delimiter] = choice.end

    def choices(self) -> list[_Choice]:
        return [jump for jump in self.jumps if isinstance(jump, _Choice)]

    def text_at(self, step: int, timeline: _Timeline) -> str:
        """Read the prompt as it is at a step, counted from 1."""
        written: list[str] = []
        index = 0
        while index < len(self.tokens):
            jump = self.jumps[index]
            if jump is None:
                written.append(self.tokens[index])
                index += 1
            elif isinstance(jump, int):
                index = jump
            elif jump.when is None:
                index = jump.parts[(step - 1) % len(jump.parts)]
            else:
                index = jump.parts[0 if step <= timeline.boundary(jump.when) else 1]
        return "".join(written)


def _tokens(text: str) -> list[str] | None:
    tokens = _TOKEN.findall(text)
    return tokens if sum(map(len, tokens)) == len(text) else None  # a lone backslash has no token


def _close(program: _Program, opened: _Open, close: int) -> bool:
    """Recognise what a pair of brackets is; false if it is no construct, so that it stays literal."""
    if opened.holds_stray:
        return False
    colons, bars = opened.colons, opened.bars
    if opened.bracket == "(":
        return not bars and len(colons) <= 1
    if bars:
        if colons:
            return False
        parts = tuple(index + 1 for index in (opened.index, *bars))
        program.add(opened.index, _Choice(parts, close + 1), (*bars, close))
        return True
    if not colons:
        return True
    number = _NUMBER.fullmatch(program.tokens[close - 1])
    if len(colons) > 2 or close - colons[-1] != 2 or number is None:
        return False
    before = opened.index + 1 if len(colons) == 2 else close  # the closing bracket jumps to the end
    after = colons[0] + 1 if len(colons) == 2 else opened.index + 1
    choice = _Choice((before, after), close + 1, number.group(1))
    program.add(opened.index, choice, (*colons, close))
    return True


def _compile(text: str) -> _Program | None:
    """Find the constructs of a prompt; None if the whole text has to be taken as it is."""
    tokens = _tokens(text)
    if tokens is None:
        return None
    program = _Program(tokens)
    stack: list[_Open] = []
    for index, symbol in enumerate(tokens):
        if symbol in {"[", "("}:
            stack.append(_Open(index, symbol))
        elif symbol == ":" and stack:
            stack[-1].colons.append(index)
        elif symbol == "|":
            if not stack:
                return None
            stack[-1].bars.append(index)
        elif symbol in {"]", ")"} and stack:
            opened = stack.pop()
            matches = opened.bracket == ("[" if symbol == "]" else "(")
            if matches and _close(program, opened, index):
                continue
            if opened.bars or (not matches and any(outer.bars for outer in stack)):
                return None
            if not matches:
                stack.clear()
            elif stack:
                stack[-1].holds_stray = True
    return None if any(opened.bars for opened in stack) else program


def prompt_schedule(
    text: str, steps: int, hires_steps: int | None = None, use_old: bool = False
) -> tuple[tuple[int, str], ...]:
    """Resolve prompt editing and alternation.

    Args:
        text: One sub-prompt (a part between ``AND``).
        steps: Model evaluations of the first pass, twice the steps for second-order samplers.
        hires_steps: Model evaluations of the second pass, if this is its schedule: fractions 0 to 1 and
            steps up to ``steps`` then belong to the first pass and are over.
        use_old: A1111 before 1.6: numbers below 1 are fractions, others steps, and both passes count alike.

    Returns:
        ``(end, text)`` in order: ``text`` is used up to and including step ``end``, counted from 1. The
        last end is the number of steps. Text that cannot be read as prompt editing is returned unchanged.
    """
    is_hires = hires_steps is not None and not use_old
    total = hires_steps if hires_steps is not None and not use_old else steps
    program = _compile(text)
    if program is None:
        return ((total, text),)
    timeline = _Timeline(total, steps, is_hires, use_old)
    ends = {total}
    for choice in program.choices():
        if choice.when is None:
            ends.update(range(1, total + 1))
        else:
            ends.add(timeline.boundary(choice.when) or total)
    return tuple((end, program.text_at(end, timeline)) for end in sorted(ends))
