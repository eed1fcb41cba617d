"""What was said on the command line: fixed for the life of the process."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["Folders", "LaunchOptions"]


@dataclass(frozen=True)
class Folders:
    """Where things lie on disk; every other path is derived from these.

    Attributes:
        data: settings, queue, caches, secrets; private to the server (mode 0700).
        models: checkpoints, VAEs, LoRAs ..., in A1111's sub-folders.
        outputs: finished pictures.
        embeddings: textual inversions.
        extensions: installed extensions.
        extra_checkpoints, extra_vaes, extra_loras: further folders of models.
        embedded: the checkpoints that come with the program; listed while there are no others.
    """

    data: Path
    models: Path
    outputs: Path
    embeddings: Path
    extensions: Path
    extra_checkpoints: tuple[Path, ...] = ()
    extra_vaes: tuple[Path, ...] = ()
    extra_loras: tuple[Path, ...] = ()
    embedded: Path | None = None

    @classmethod
    def below(cls, root: Path) -> "Folders":
        """The default layout below one root folder."""
        return cls(
            data=root / "data",
            models=root / "models",
            outputs=root / "outputs",
            embeddings=root / "embeddings",
            extensions=root / "extensions",
        )


@dataclass(frozen=True)
class LaunchOptions:
    """The command line after parsing; names follow A1111's flags.

    Attributes:
        host, port: where the server binds; ``listen`` means another address than loopback.
        api: opens /sdapi/v1 to local clients on a loopback bind.
        page: whether the page is served beside the API.
        api_auth: ``(user, password)`` pairs for HTTP Basic on the API.
        api_log: a line in the log for each answer of A1111's routes.
        cors_origins, cors_origins_regex: other sites whose pages may call the API.
        device: "auto", "cpu", "cuda", "cuda:1", "mps" ...
        precision: "auto", "full" (fp32 everywhere) or "half".
        residency: what of a model lies on a device with a memory of its own; see ``Runtime``.
        torch_compile: compile the U-Net.
        cuda_graphs: record what the U-Net does on a GPU, and replay it.
        check_values: look for NaN and all-black pictures, and make them again in higher precision.
        step_cache: MiB of memory for steps that later pictures may share; 0 makes every step anew.
        checkpoint: checkpoint to load at start, by any of its names; None is the setting's.
        open_browser: open the page, with a one-time login link, when the server is ready.
    """

    folders: Folders
    host: str = "127.0.0.1"
    port: int = 7860
    listen: bool = False
    api: bool = False
    page: bool = True
    api_auth: tuple[tuple[str, str], ...] = ()
    api_server_stop: bool = False
    api_log: bool = False
    cors_origins: tuple[str, ...] = ()
    cors_origins_regex: str | None = None
    device: str = "auto"
    precision: Literal["auto", "full", "half"] = "auto"
    residency: Literal["all", "turns for SDXL", "turns", "layers"] = "all"
    attention: Literal["auto", "sdpa", "sliced", "xformers"] = "auto"
    torch_compile: bool = False
    cuda_graphs: bool = True
    check_values: bool = True
    step_cache: int = 256
    checkpoint: str | None = None
    vae_path: Path | None = None
    hashing: bool = True
    open_browser: bool = True
    theme: str | None = None
    tls_certfile: Path | None = None
    tls_keyfile: Path | None = None
    allowed_hosts: tuple[str, ...] = field(default=())
    threads: int = 0
