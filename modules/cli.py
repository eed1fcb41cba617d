"""The command line: flags under A1111's names, and a few commands beside running the server."""

import argparse
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from modules.jobs.log_context import JobFilter, JsonFormatter
from modules.server.supervisor import Supervisor, is_supervised
from modules.settings.foreign_flags import familiar_flags
from modules.settings.launch import Folders, LaunchOptions
from modules.webui.stub_files import skip_stub_files

__all__ = ["PATIENT_THREADS", "build_parser", "launch_options", "main", "model_options"]

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
PORT, API_PORT = 7860, 7861  # A1111's, with the page and without it
# Idle worker threads sleep instead of spinning: beside one other busy program a picture of the embedded model
# takes 3 s on two cores instead of 22, and the bits are the same
PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - only with --listen, and then only for users or tokens


def build_parser() -> argparse.ArgumentParser:
    """All flags and commands."""
    parser = argparse.ArgumentParser(
        prog="webui.py",
        description="A browser studio for Stable Diffusion. Without a command it runs the server.",
    )
    _add_folders(parser)
    _add_server(parser)
    _add_device(parser)
    parser.add_argument("--loglevel", default="INFO", help="DEBUG, INFO, WARNING or ERROR")
    parser.add_argument("--log-json", action="store_true", help="write the log as one JSON object a line")
    commands = parser.add_subparsers(dest="command", metavar="command")
    _add_users(commands.add_parser("users", help="add, list or remove users, make API tokens"))
    _add_history(commands.add_parser("history", help="make the index of all pictures again"))
    for name, text in _HELP.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser


def _add_users(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("list", help="who may log in")
    for name, text in (("add", "add a user; asks for a password"), ("token", "make a token for programs")):
        action = actions.add_parser(name, help=text)
        action.add_argument("name")
        action.add_argument("--role", choices=("admin", "artist"), default="artist")
    actions.add_parser("remove", help="remove a user, his sessions and tokens").add_argument("name")


def _add_history(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    action = actions.add_parser(
        "rebuild", help="let the index say what lies in outputs/; stars and tags stay"
    )
    action.add_argument("--owner", default="local", help="whose the pictures are of which nobody knows")


def _add_folders(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("folders")
    group.add_argument("--data-dir", type=Path, default=ROOT, help="root of data/, models/ and outputs/")
    group.add_argument("--models-dir", type=Path, help="models/ elsewhere")
    group.add_argument(
        "--ckpt-dir", type=Path, action="append", default=[], help="one more checkpoint folder"
    )
    group.add_argument("--vae-dir", type=Path, action="append", default=[], help="one more VAE folder")
    group.add_argument("--lora-dir", type=Path, action="append", default=[], help="one more LoRA folder")
    group.add_argument("--embeddings-dir", type=Path, help="textual inversions elsewhere")


def _add_server(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("server")
    group.add_argument("--port", type=int, help="7860; with --nowebui 7861")
    group.add_argument("--listen", action="store_true", help="serve the network, with users or tokens only")
    group.add_argument("--server-name", help="address to bind instead of 127.0.0.1")
    group.add_argument("--allowed-host", action="append", default=[], help="one more Host name to answer to")
    group.add_argument("--api", action="store_true", help="open /sdapi/v1 to programs on this machine")
    group.add_argument("--nowebui", action="store_true", help="serve the API alone; opens it as --api does")
    group.add_argument("--api-auth", default="", help="user:password[,user:password] for the API")
    group.add_argument("--api-log", action="store_true", help="log each answer of /sdapi")
    group.add_argument("--api-server-stop", action="store_true", help="allow stopping the server by API")
    group.add_argument(
        "--cors-allow-origins", default="", help="sites whose pages may call: https://a.example[,...]"
    )
    group.add_argument("--cors-allow-origins-regex", help="the same as a regular expression")
    group.add_argument("--tls-certfile", type=Path)
    group.add_argument("--tls-keyfile", type=Path)
    group.add_argument("--no-browser", action="store_true", help="do not open the page")
    group.add_argument("--theme", choices=("light", "dark"))


def _add_device(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("models and device")
    group.add_argument("--ckpt", help="checkpoint to start with, by file name, title or hash")
    group.add_argument("--vae-path", type=Path, help="VAE for every checkpoint")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    group.add_argument(
        "--precision",
        choices=("auto", "full", "half"),
        default="auto",
        help="full: 32-bit floats everywhere; half: 16 bits; auto: 16 bits where they are faster",
    )
    group.add_argument(
        "--medvram",
        dest="residency",
        action="store_const",
        const="turns",
        default="all",
        help="small cards: text encoders, U-Net and VAE take turns on the device",
    )
    group.add_argument(
        "--medvram-sdxl",
        dest="residency",
        action="store_const",
        const="turns for SDXL",
        help="the same for SDXL only",
    )
    group.add_argument(
        "--lowvram",
        dest="residency",
        action="store_const",
        const="layers",
        help="smaller cards: also the layers of the U-Net, one after the other; slower",
    )
    group.add_argument("--attention", choices=("auto", "sdpa", "xformers", "sliced"), default="auto")
    group.add_argument(
        "--torch-compile",
        action="store_true",
        help="compile the U-Net; long at its first call, and needs a C++ compiler or Triton",
    )
    group.add_argument(
        "--no-cuda-graphs", action="store_true", help="do not record what the U-Net does on a GPU"
    )
    group.add_argument(
        "--disable-nan-check", action="store_true", help="keep pictures that hold NaN or are all black"
    )
    group.add_argument(
        "--step-cache",
        type=int,
        default=256,
        metavar="MIB",
        help="memory for steps that later pictures may share; 0 makes every step anew",
    )
    group.add_argument("--threads", type=int, default=0, help="CPU threads; 0 takes all cores")
    group.add_argument("--no-hashing", action="store_true", help="do not compute model hashes")


def model_options(arguments: argparse.Namespace) -> LaunchOptions:
    """Folders, models and device, for commands that run no server."""
    base = Folders.below(arguments.data_dir.resolve())
    folders = Folders(
        data=base.data,
        models=(arguments.models_dir or base.models).resolve(),
        outputs=base.outputs,
        embeddings=(arguments.embeddings_dir or base.embeddings).resolve(),
        extensions=base.extensions,
        extra_checkpoints=tuple(arguments.ckpt_dir),
        extra_vaes=tuple(arguments.vae_dir),
        extra_loras=tuple(arguments.lora_dir),
        embedded=ROOT / "models" / "Stable-diffusion",
    )
    return LaunchOptions(
        folders=folders,
        device=arguments.device,
        precision=arguments.precision,
        residency=arguments.residency,
        attention=arguments.attention,
        torch_compile=arguments.torch_compile,
        cuda_graphs=not arguments.no_cuda_graphs,
        check_values=not arguments.disable_nan_check,
        step_cache=arguments.step_cache,
        checkpoint=arguments.ckpt,
        vae_path=arguments.vae_path,
        hashing=not arguments.no_hashing,
        threads=arguments.threads,
    )


def launch_options(arguments: argparse.Namespace) -> LaunchOptions:
    """Parsed flags as the frozen value that the rest of the program reads."""
    return replace(
        model_options(arguments),
        host=arguments.server_name or (ANY_ADDRESS if arguments.listen else LOOPBACK),
        port=arguments.port if arguments.port is not None else API_PORT if arguments.nowebui else PORT,
        listen=arguments.listen,
        api=arguments.api or arguments.nowebui,
        page=not arguments.nowebui,
        api_auth=_credentials(arguments.api_auth),
        api_server_stop=arguments.api_server_stop,
        api_log=arguments.api_log,
        cors_origins=tuple(part.strip() for part in arguments.cors_allow_origins.split(",") if part.strip()),
        cors_origins_regex=arguments.cors_allow_origins_regex,
        open_browser=not arguments.no_browser,
        theme=arguments.theme,
        tls_certfile=arguments.tls_certfile,
        tls_keyfile=arguments.tls_keyfile,
        allowed_hosts=tuple(arguments.allowed_host),
    )


def _credentials(text: str) -> tuple[tuple[str, str], ...]:
    """``user:password,user2:password2`` as pairs; a part without a colon is refused.

    Raises:
        SystemExit: the text has another form.
    """
    pairs = [tuple(part.split(":", 1)) for part in text.split(",") if part]
    if any(len(pair) != 2 for pair in pairs):
        raise SystemExit("--api-auth wants user:password[,user:password]")
    return tuple((pair[0], pair[1]) for pair in pairs)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    for name, value in PATIENT_THREADS.items():  # read when torch is loaded, so before any of it is imported
        os.environ.setdefault(name, value)
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in COMMANDS:  # these parse their own arguments
        _start_logging("INFO")
        return COMMANDS[words[0]](words[1:])
    words, ignored = familiar_flags(words)
    arguments = build_parser().parse_args(words)
    _start_logging(arguments.loglevel.upper(), as_json=arguments.log_json)
    if ignored:
        log.warning("ignored, as nothing here needs it: %s", ", ".join(ignored))
    options = launch_options(arguments)
    # the imports below follow the command: adding a user needs no page, a supervisor no torch
    if arguments.command == "users":
        from modules.server.users_command import run_users

        return run_users(arguments, options.folders.data)
    if arguments.command == "history":
        from modules.history.command import run_history
        from modules.server.users_command import user_names

        return run_history(
            arguments, options.folders.data, options.folders.outputs, user_names(options.folders.data)
        )
    if not is_supervised():
        data = options.folders.data
        command = (sys.executable, "-X", "faulthandler", "-m", "modules.cli", *words)
        return Supervisor(command, crash_folder=data / "crashes", note=data / "queue.hands").run()
    skip_stub_files()
    # what imports make stays: looking for garbage among it took a fifth of the start; see run()
    gc.disable()
    from modules.app import run

    return run(options)


def _train(words: Sequence[str]) -> int:
    from modules.commands.train import run_train, train_parser

    arguments = train_parser(_add_place).parse_args(words)
    return run_train(arguments, model_options(arguments) if "data_dir" in arguments else None)


def _verify_golden(words: Sequence[str]) -> int:
    from tests.golden.verify import verify_golden

    return verify_golden(words)


def _generate(words: Sequence[str]) -> int:
    from modules.commands.generate import add_generate_arguments, run_generate

    parser = _command_parser("generate", add_generate_arguments)
    arguments = parser.parse_args(words)
    return run_generate(arguments, model_options(arguments))


def _verify(words: Sequence[str]) -> int:
    from modules.commands.verify import add_verify_arguments, run_verify

    parser = _command_parser("verify", add_verify_arguments)
    arguments = parser.parse_args(words)
    return run_verify(arguments, model_options(arguments))


def _command_parser(
    name: str, add_arguments: Callable[[argparse.ArgumentParser], None]
) -> argparse.ArgumentParser:
    """A parser for a command that uses the folders and the device, but no server."""
    parser = argparse.ArgumentParser(prog=f"webui.py {name}", description=f"{_HELP[name].capitalize()}.")
    add_arguments(parser)
    _add_place(parser)
    return parser


def _add_place(parser: argparse.ArgumentParser) -> None:
    """Flags of everything that uses the folders and the device, but no server."""
    _add_folders(parser)
    _add_device(parser)


_HELP = {
    "generate": "make pictures without a server",
    "verify": "make a picture again from its own parameters and compare",
    "train": "train a model",
    "verify-golden": "compare with the reference pictures",
}
COMMANDS = {"generate": _generate, "verify": _verify, "train": _train, "verify-golden": _verify_golden}


def _start_logging(level: str, *, as_json: bool = False) -> None:
    form = "%(asctime)s %(levelname)s %(name)s: %(job_text)s%(message)s"
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(JobFilter())
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter(form))
    logging.basicConfig(level=level, handlers=[handler])


if __name__ == "__main__":
    sys.exit(main())
