"""Styles: named pieces of prompt kept in ``styles.csv`` files."""

import csv
import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modules.exceptions import StorageError

__all__ = ["Style", "StyleCatalog", "apply_style", "extract_style"]

PLACEHOLDER = "{prompt}"
COLUMNS = ("name", "prompt", "negative_prompt")
DIVIDER_WIDTH = 40


@dataclass(frozen=True)
class Style:
    """A named addition to a prompt and a negative prompt. ``path`` is None for a divider in the list."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class _StyleFile:
    styles: tuple[Style, ...] = ()
    comments: tuple[tuple[str, ...], ...] = field(default=())  # rows whose name starts with "#"


def apply_style(style_text: str, prompt: str) -> str:
    """Put a prompt into a style's ``{prompt}``, or append the style after a comma."""
    if PLACEHOLDER in style_text:
        return style_text.replace(PLACEHOLDER, prompt)
    return ", ".join(part for part in (prompt.strip(), style_text.strip()) if part)


def _without_wrapping(parts: Sequence[str], prompt: str) -> str | None:
    """Solve ``parts[0] + inner + parts[1] + inner + ... == prompt`` for ``inner``."""
    length, remainder = divmod(len(prompt) - sum(map(len, parts)), len(parts) - 1)
    if length < 0 or remainder:
        return None
    inner = prompt[len(parts[0]) : len(parts[0]) + length]
    return inner if inner.join(parts) == prompt else None


def extract_style(style_text: str, prompt: str) -> str | None:
    """Undo :func:`apply_style`.

    Returns:
        The prompt without the style, or None if the style cannot have been applied to it.
    """
    prompt, style_text = prompt.strip(), style_text.strip()
    if PLACEHOLDER in style_text:
        return _without_wrapping(style_text.split(PLACEHOLDER), prompt)
    if not prompt.endswith(style_text):
        return None
    return prompt.removesuffix(style_text).removesuffix(", ")


def _expand(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if any(wildcard in path.name for wildcard in "*?"):
            yield from sorted(path.parent.glob(path.name))
        else:
            yield path


def _default_path(path: Path) -> Path:
    """Where new styles go: the first file; of a wildcard its first match or ``styles.csv`` there."""
    return next(_expand([path]), path.parent / "styles.csv")


def _read(path: Path) -> _StyleFile:
    styles: list[Style] = []
    comments: list[tuple[str, ...]] = []
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream, skipinitialspace=True):
            name = row.get("name") or ""
            prompt = row.get("prompt") or row.get("text") or ""
            negative = row.get("negative_prompt") or ""
            if name.startswith("#"):
                comments.append((name, prompt, negative))
            elif name:
                styles.append(Style(name, prompt, negative, path))
    return _StyleFile(tuple(styles), tuple(comments))


class StyleCatalog:
    """All styles of one or several files; the first file takes new ones. Safe to use from several threads.

    Args:
        paths: Style files; a name may hold the wildcards ``*`` and ``?``. Missing files are empty.
        write: Puts a file in place of an older one in one step, or raises StorageError.
    """

    def __init__(self, paths: Sequence[Path], write: Callable[[Path, bytes], None]) -> None:
        self._write_file = write
        self._lock = threading.Lock()  # held from looking at a file's styles until their new file is written
        self.paths = tuple(paths)
        self.default_path = _default_path(self.paths[0])
        self._files: dict[Path, _StyleFile] = {}
        self._styles: dict[str, Style] = {}
        self.reload()

    def reload(self) -> None:
        """Read all files again."""
        with self._lock:
            found = dict.fromkeys(_expand(self.paths))
            self._files = {path: _read(path) for path in found if path.is_file()}
            self._index()

    def _index(self) -> None:
        styles: dict[str, Style] = {}
        for path, file in self._files.items():
            if len(self._files) > 1:
                divider = f" {path.stem} ".upper().center(DIVIDER_WIDTH, "-")
                styles[divider] = Style(divider)
            styles.update((style.name, style) for style in file.styles)
        self._styles = styles

    @property
    def styles(self) -> Mapping[str, Style]:
        """Styles by name in the order of the files; with several files each begins with a divider."""
        return self._styles

    def find(self, name: str) -> Style | None:
        """Find a style by its exact name."""
        return self._styles.get(name)

    def apply(self, prompt: str, negative_prompt: str, names: Iterable[str]) -> tuple[str, str]:
        """Apply styles in order; unknown names change nothing.

        Returns:
            The prompt and the negative prompt.
        """
        for style in filter(None, map(self.find, names)):
            prompt = apply_style(style.prompt, prompt)
            negative_prompt = apply_style(style.negative_prompt, negative_prompt)
        return prompt, negative_prompt

    def extract(self, prompt: str, negative_prompt: str) -> tuple[tuple[str, ...], str, str]:
        """Find the styles that were applied to a pair of prompts.

        Returns:
            Names in the order of application, then both prompts without them.
        """
        candidates = [style for style in self._styles.values() if style.prompt or style.negative_prompt]
        names: list[str] = []
        while True:
            for style in candidates:
                positive = extract_style(style.prompt, prompt)
                negative = extract_style(style.negative_prompt, negative_prompt)
                if positive is not None and negative is not None:
                    prompt, negative_prompt = positive, negative
                    candidates.remove(style)
                    names.append(style.name)
                    break
            else:
                return tuple(reversed(names)), prompt, negative_prompt

    def save(self, style: Style) -> None:
        """Add a style, or replace the one of its name in the file where it is.

        Raises:
            StorageError: The file cannot be written.
        """
        with self._lock:
            known = self._styles.get(style.name)
            path = (known.path if known else None) or style.path or self.default_path
            stored = Style(style.name, style.prompt, style.negative_prompt, path)
            file = self._files.get(path, _StyleFile())
            kept = {other.name: other for other in file.styles} | {stored.name: stored}
            self._write(path, _StyleFile(tuple(kept.values()), file.comments))

    def delete(self, name: str) -> None:
        """Remove a style from its file; an unknown name changes nothing.

        Raises:
            StorageError: The file cannot be written.
        """
        with self._lock:
            known = self._styles.get(name)
            if known is not None and known.path is not None:
                file = self._files[known.path]
                kept = tuple(style for style in file.styles if style.name != name)
                self._write(known.path, _StyleFile(kept, file.comments))

    def _write(self, path: Path, file: _StyleFile) -> None:
        """Keep a copy of the old file as ``.bak``, then replace it in one step."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows(file.comments)
        writer.writerows((style.name, style.prompt, style.negative_prompt) for style in file.styles)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                self._write_file(path.with_name(f"{path.name}.bak"), path.read_bytes())
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StorageError(path, f"The styles could not be saved to {path.name}: {reason}.") from error
        self._write_file(path, text.getvalue().encode("utf-8-sig", "replace"))
        self._files[path] = file
        self._index()
