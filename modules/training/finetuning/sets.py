"""Sets of pictures that were sent to the server to be learnt from: one folder each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modules.adapters.new_files import adapter_file_name
from modules.exceptions import NotFoundError, RequestError
from modules.imaging.decode import load_image
from modules.imaging.files import make_folder, write_replacing
from modules.training.finetuning.pictures import IMAGE_SUFFIXES, name_words, picture_paths

__all__ = ["MAX_CAPTION", "PictureSets"]

MAX_PICTURES = 2000
MAX_CAPTION = 5000  # characters


@dataclass(frozen=True)
class PictureSets:
    """All sets below one folder."""

    folder: Path

    def names(self) -> tuple[str, ...]:
        """The sets there are."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(path.name for path in self.folder.iterdir() if path.is_dir()))

    def place(self, name: str) -> Path:
        """The folder of a set, whether it is there or not.

        Raises:
            RequestError: no folder can be called so.
        """
        return self.folder / adapter_file_name(name)

    def captions(self, name: str) -> dict[str, str]:
        """Caption of each picture by its file's name; where none was written, the words of the name."""
        folder = self.place(name)
        if not folder.is_dir():
            return {}
        return {path.name: _caption(path) for path in picture_paths(folder) if path.parent == folder}

    def add(self, name: str, file: str, content: bytes) -> str:
        """Put a picture into a set, which is made if need be; returns its file's name there.

        Raises:
            RequestError: it is no picture that can be read, or the set is full.
            StorageError: it cannot be written.
        """
        load_image(content, field="picture")
        folder = self.place(name)
        if len(self.captions(name)) >= MAX_PICTURES:
            raise RequestError("picture", f"a set holds at most {MAX_PICTURES} pictures")
        suffix = Path(file).suffix.lower()
        if suffix not in IMAGE_SUFFIXES:
            raise RequestError("picture", f"pictures are called *{', *'.join(IMAGE_SUFFIXES)}")
        path = folder / f"{adapter_file_name(Path(file).stem)}{suffix}"
        make_folder(folder)
        write_replacing(path, content)
        return path.name

    def write_captions(self, name: str, captions: Mapping[str, str]) -> None:
        """Write captions beside their pictures.

        Raises:
            NotFoundError: there is no such picture.
            RequestError: a caption is too long.
        """
        for file, caption in captions.items():
            if len(caption) > MAX_CAPTION:
                raise RequestError(
                    "captions", f"the caption of {file} has more than {MAX_CAPTION} characters"
                )
            path = self.picture(name, file).with_suffix(".txt")
            write_replacing(path, " ".join(caption.split()).encode())

    def remove(self, name: str, file: str) -> None:
        """Take a picture and its caption out of a set.

        Raises:
            NotFoundError: there is no such picture.
        """
        path = self.picture(name, file)
        path.with_suffix(".txt").unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    def picture(self, name: str, file: str) -> Path:
        """Where a picture of a set is.

        Raises:
            NotFoundError: there is no such picture.
        """
        if file not in self.captions(name):
            raise NotFoundError("file", "there is no such picture in this set")
        return self.place(name) / file


def _caption(path: Path) -> str:
    beside = path.with_suffix(".txt")
    if beside.is_file():
        return beside.read_text(encoding="utf-8", errors="replace").strip()
    return name_words(path.stem)
