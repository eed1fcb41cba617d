"""A1111's flags that this program knows under another name, or does not need: start scripts still work."""

from collections.abc import Mapping, Sequence

__all__ = ["familiar_flags"]

_MEANT: Mapping[str, tuple[str, ...]] = {
    "--no-half": ("--precision", "full"),
    "--opt-sdp-attention": ("--attention", "sdpa"),
    "--opt-sdp-no-mem-attention": ("--attention", "sdpa"),
    "--test-server": ("--api", "--no-browser"),
    "--add-stop-route": ("--api-server-stop",),
}
_NOT_NEEDED = frozenset(
    f"--{name}"
    for name in (
        "update-all-extensions", "skip-python-version-check", "skip-torch-cuda-test", "reinstall-xformers",
        "reinstall-torch", "update-check", "no-tests", "skip-install", "log-startup", "dump-sysinfo",
        "skip-prepare-environment", "do-not-download-clip", "skip-version-check", "skip-load-model-at-start",
        "no-half-vae", "upcast-sampling", "lowram", "opt-channelslast",
        "always-batch-cond-uncond", "xformers", "force-enable-xformers", "xformers-flash-attention",
        "opt-split-attention", "opt-split-attention-v1", "opt-split-attention-invokeai",
        "opt-sub-quad-attention", "disable-opt-split-attention", "use-ipex", "no-progressbar-hiding",
        "allow-code", "unload-gfpgan", "deepdanbooru", "share", "enable-insecure-extension-access",
        "show-negative-prompt", "hide-ui-dir-config", "freeze-settings", "gradio-debug", "gradio-queue",
        "no-gradio-queue", "autolaunch", "use-textbox-seed", "disable-console-progressbars",
        "enable-console-prompts", "disable-safe-unpickle", "ui-debug-mode", "administrator",
        "disable-tls-verify", "no-download-sd-model", "no-prompt-history", "disable-all-extensions",
        "disable-extra-extensions", "unix-filenames-sanitization",
    )
)  # fmt: skip
_NOT_NEEDED_WITH_VALUE = frozenset(
    f"--{name}"
    for name in (
        "tests", "config", "gfpgan-dir", "gfpgan-model", "textual-inversion-templates-dir",
        "hypernetwork-dir", "localizations-dir", "codeformer-models-path", "gfpgan-models-path",
        "esrgan-models-path",
        "bsrgan-models-path", "realesrgan-models-path", "dat-models-path", "clip-models-path",
        "ldsr-models-path", "scunet-models-path", "swinir-models-path", "ngrok", "ngrok-region",
        "ngrok-options", "sub-quad-q-chunk-size", "sub-quad-kv-chunk-size", "sub-quad-chunk-threshold",
        "ui-config-file", "ui-settings-file", "freeze-settings-in-sections", "freeze-specific-settings",
        "gradio-auth", "gradio-auth-path", "gradio-img2img-tool", "gradio-inpaint-tool",
        "gradio-allowed-path", "max-batch-count", "timeout-keep-alive", "subpath", "filenames-max-length",
        "styles-file",
    )
)  # fmt: skip


def familiar_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command line in this program's own words.

    Args:
        words: as they were given; whatever A1111 has no meaning for stays as it is.

    Returns:
        The words to be parsed, and A1111's flags that have no effect here, without their values.
    """
    own, ignored, position = list[str](), list[str](), 0
    while position < len(words):
        name, has_value, value = words[position].partition("=")
        end = position + 1
        if name in _NOT_NEEDED_WITH_VALUE or name in {"--device-id", "--use-cpu", "--precision"}:
            values = [value] if has_value else _values(words[end:], several=name == "--use-cpu")
            end += 0 if has_value else len(values)
            meant = _with_value(name, values)
        else:
            meant = _MEANT.get(name)
        if meant is not None:
            own += meant
        elif name in _NOT_NEEDED or name in _NOT_NEEDED_WITH_VALUE or name == "--use-cpu":
            ignored.append(name)
        else:
            own += words[position:end]
        position = end
    return own, ignored


def _with_value(name: str, values: Sequence[str]) -> tuple[str, ...] | None:
    """What a flag with a value means here; None where it is as it was, or nothing."""
    if name == "--use-cpu" and {"all", "sd"} & {value.lower() for value in values}:
        return "--device", "cpu"
    if name == "--device-id" and values:
        return "--device", f"cuda:{values[0]}"
    if name == "--precision" and list(values) == ["autocast"]:
        return "--precision", "auto"
    return None


def _values(rest: Sequence[str], *, several: bool) -> list[str]:
    """The words behind a flag that belong to it."""
    values = list[str]()
    for word in rest:
        if word.startswith("-") or (values and not several):
            break
        values.append(word)
    return values
