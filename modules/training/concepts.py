"""The concepts that a model shall know, and the drawings of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modules.exceptions import TrainingError
from modules.training.icon_sets import ICON_SETS
from modules.training.icons import IconLibrary

__all__ = ["Concept", "drawings_of", "load_concepts"]


@dataclass(frozen=True)
class Concept:
    """One thing that can be drawn.

    Attributes:
        name: What captions usually call it.
        label: Its CLDR name, by which drawings are found.
        synonyms: Other names, all of them true.
    """

    name: str
    label: str
    synonyms: tuple[str, ...] = ()

    @property
    def is_plural(self) -> bool:
        """Whether the name takes no article ("grapes", but "a bus")."""
        return self.name.endswith("s") and not self.name.endswith(("us", "ss"))


def load_concepts(path: Path) -> tuple[Concept, ...]:
    """Read a list of concepts, one a line: ``name | CLDR name | other, names``; ``#`` begins a comment.

    Raises:
        TrainingError: The file is missing or a line has not three fields.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TrainingError(f"The list of concepts {path} cannot be read: {error}") from error
    concepts = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        fields = [field.strip() for field in text.split("|")]
        if len(fields) != 3 or not fields[0]:
            raise TrainingError(f"{path.name}, line {number}: expected 'name | CLDR name | other names'.")
        name, label, others = fields
        synonyms = tuple(other.strip() for other in others.split(",") if other.strip())
        concepts.append(Concept(name, label or name, synonyms))
    return tuple(concepts)


def drawings_of(concepts: tuple[Concept, ...], library: IconLibrary) -> Mapping[tuple[str, str], int]:
    """Map (concept's name, style) to the index of its drawing.

    Raises:
        TrainingError: A concept has no drawing in any set.
    """
    styles = {icon_set.name: icon_set.style for icon_set in ICON_SETS}
    by_label: dict[str, list[tuple[str, int]]] = {}
    for index, icon in enumerate(library.icons):
        by_label.setdefault(icon.label, []).append((styles[icon.icon_set], index))
    missing = [concept.label for concept in concepts if concept.label not in by_label]
    if missing:
        raise TrainingError(f"No set has a drawing of: {', '.join(missing)}.")
    return {(concept.name, style): index for concept in concepts for style, index in by_label[concept.label]}
