"""Pictures for the history's tests."""

from pathlib import Path

from PIL import Image

from modules.history.picture import NewPicture
from modules.imaging.metadata import encode_image

__all__ = ["infotext_of", "new_picture", "write_picture"]


def infotext_of(prompt: str, negative: str = "", **parameters: object) -> str:
    """Generation parameters as the server writes them; keywords like ``CFG_scale`` lose their underscores."""
    values = {"Steps": 20, "Sampler": "Euler a", "CFG scale": 7, "Seed": 1, "Size": "64x48", "Model": "plain"}
    values.update({key.replace("_", " "): value for key, value in parameters.items()})
    head = f"{prompt}\nNegative prompt: {negative}" if negative else prompt
    return head + "\n" + ", ".join(f"{key}: {value}" for key, value in values.items())


def new_picture(number: int, infotext: str = "", **changes: object) -> NewPicture:
    """A row without a file."""
    fields = {
        "id": f"id{number}", "owner": "ann", "path": f"txt2img-images/{number:05}.png", "kind": "txt2img",
        "created": 1_700_000_000.0 + number, "width": 64, "height": 48, "infotext": infotext,
        "digest": f"{number:064x}",
    }  # fmt: skip
    return NewPicture(**{**fields, **changes})  # type: ignore[arg-type]


def write_picture(path: Path, infotext: str, colour: int = 0) -> Path:
    """A picture file with parameters, in the format of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (64, 48), (colour % 256, colour // 256, 90))
    path.write_bytes(encode_image(image, path.suffix[1:], infotext))
    return path
