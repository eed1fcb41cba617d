"""From a :class:`~modules.history.query.Query` to SQL. Values travel as parameters, never as text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from modules.history.query import Flag, Match, Number, Period, Query, Words

__all__ = ["Condition", "query_conditions", "searchable_text"]

# without blanks between words every run of signs would be one word; each sign becomes a word of its own
_SIGNS = re.compile(
    "([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])"
)
_NUMBER_COLUMNS = frozenset({"cfg_scale", "steps", "width", "height", "denoising_strength"})
_TOLERANCE = 1e-9  # of the value: 7.1 typed is 7.1 stored
_CONTAINING = {
    "model": "(instr(lower(p.model), ?1) OR instr(lower(p.model_hash), ?1) = 1)",
    "sampler": "instr(lower(p.sampler), ?1)",
    "scheduler": "instr(lower(p.scheduler), ?1)",
    "file": "instr(lower(p.path), ?1)",
}
_LISTED = {
    "lora": "SELECT picture FROM loras WHERE instr(lower(name), ?1)",
    "tag": "SELECT picture FROM tags WHERE tag = ?1",
}


@dataclass(frozen=True)
class Condition:
    """One part of a WHERE clause about ``pictures p``; each ``?`` takes the next value."""

    sql: str
    values: tuple[str | float, ...] = ()


def searchable_text(text: str) -> str:
    """Text as the full-text index takes it: Chinese, Japanese and Korean signs apart."""
    return _SIGNS.sub(r" \1 ", text)


def query_conditions(query: Query) -> tuple[Condition, ...]:
    """All conditions of a query; they are to be joined by AND."""
    return tuple(_conditions(query))


def _conditions(query: Query) -> Iterator[Condition]:
    wanted: list[str] = []
    for term in query.terms:
        condition = term.condition
        if isinstance(condition, Words):
            expression = _expression(condition)
            if term.negated:
                yield Condition(
                    "p.number NOT IN (SELECT rowid FROM words WHERE words MATCH ?)", (expression,)
                )
            else:
                wanted.append(expression)
            continue
        made = _condition(condition)
        yield Condition(f"NOT coalesce({made.sql}, 0)", made.values) if term.negated else made
    if wanted:  # one expression for all words: the index intersects its own lists
        yield Condition("p.number IN (SELECT rowid FROM words WHERE words MATCH ?)", (" AND ".join(wanted),))


def _expression(words: Words) -> str:
    """A full-text expression: quoted, so that nothing in the words is an operator."""
    text = searchable_text(words.text).replace('"', " ").replace("\0", " ").strip()
    columns = words.column or "prompt other"
    return f'{{{columns}}} : "{text}"{"" if words.is_phrase else " *"}'


def _condition(condition: Match | Number | Period | Flag) -> Condition:
    if isinstance(condition, Number):
        return _number_condition(condition)
    if isinstance(condition, Period):
        bounds = [("p.created >= ?", condition.start), ("p.created < ?", condition.end)]
        known = [(sql, value) for sql, value in bounds if value is not None]
        return Condition(f"({' AND '.join(sql for sql, _ in known)})", tuple(value for _, value in known))
    if isinstance(condition, Flag):
        return Condition(_FLAG_SQL[condition])
    return _match_condition(condition)


_FLAG_SQL = {
    Flag.STARRED: "p.starred",
    Flag.TAGGED: "p.number IN (SELECT picture FROM tags)",
    Flag.DERIVED: "EXISTS (SELECT 1 FROM sources s CROSS JOIN pictures o ON o.digest = s.digest "
    "WHERE s.picture = p.number AND o.owner = p.owner)",
}


def _number_condition(number: Number) -> Condition:
    if number.key not in _NUMBER_COLUMNS:
        raise ValueError(number.key)
    column = f"p.{number.key}"
    if number.comparison == "=":
        margin = _TOLERANCE * max(1.0, abs(number.value))
        return Condition(f"({column} BETWEEN ? AND ?)", (number.value - margin, number.value + margin))
    return Condition(f"({column} {number.comparison} ?)", (number.value,))


def _match_condition(match: Match) -> Condition:
    value = match.value.replace("\0", " ")
    if match.key == "seed":
        return Condition("(p.seed = ?)", (value,))
    if match.key == "kind":
        return Condition("(p.kind = ?)", (value.lower(),))
    if match.key == "size":
        width, _, height = value.lower().partition("x")
        return Condition("(p.width = ? AND p.height = ?)", (_side(width), _side(height)))
    if match.key in _LISTED:
        sql = _LISTED[match.key]
        return Condition(f"p.number IN ({sql.replace('?1', '?')})", (value.lower(),))
    sql = _CONTAINING[match.key]
    return Condition(sql.replace("?1", "?"), (value.lower(),) * sql.count("?1"))


def _side(text: str) -> float:
    return float(text) if text.isdecimal() and len(text) < 7 else -1.0
