"""diffusers and transformers as a contestant, with the same weights."""

from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from benchmarks.kinds import Kind, Work, make_work
from benchmarks.memory import peak_on
from modules.families.detect import UNET_PREFIX, VAE_PREFIX
from modules.families.diffusers_names import translate, unet_layout, unet_modules, vae_modules
from modules.networks.clip_text import ClipTextConfig
from modules.networks.unet import UNetConfig

__all__ = ["Theirs", "unet_options"]

_GUIDANCE = 7.0
_DTYPES = {"full": torch.float32, "half": torch.bfloat16, "float16": torch.float16}


class Theirs:
    """The library's own modules, as its pipelines call them.

    Args:
        precision: "full" is its default; "half" its fastest configuration on a CPU with bfloat16:
            that and channels-last weights. (Compiling gains 2 %, after more than a minute.) "float16" is
            what its pipelines are loaded in on a GPU.
        device: where it runs.
        compiled: mode of ``torch.compile``, then with channels-last weights; "" is none.
    """

    _unet: Any
    _vae: Any
    _text: Any

    def __init__(
        self, precision: Literal["full", "half", "float16"] = "full", device: str = "cpu", compiled: str = ""
    ) -> None:
        self._channels_last = precision == "half" or bool(compiled)
        self._dtype = _DTYPES[precision]
        self._device = torch.device(device)
        self._compiled = compiled

    def load(self, checkpoint: Path, kind: Kind) -> None:
        """See :class:`~benchmarks.contestant.Contestant`."""
        tensors = load_file(checkpoint)
        with torch.device("meta"):
            unet = UNet2DConditionModel(**unet_options(kind.unet))
            vae = _vae(kind)
        shapes = {name: tuple(value.shape) for name, value in unet.state_dict().items()}
        self._unet = self._filled(unet, tensors, unet_modules(unet_layout(shapes)), UNET_PREFIX)
        modules = vae_modules(len(kind.vae.channel_mult), kind.vae.num_res_blocks)
        self._vae = self._filled(vae, tensors, modules, VAE_PREFIX)
        prefix, config = next(iter(kind.texts.items()))
        self._text = self._text_model(config, tensors, prefix) if len(kind.texts) == 1 else None
        if self._compiled:
            self._unet = torch.compile(self._unet, mode=self._compiled)
            self._vae.decode = torch.compile(self._vae.decode, mode=self._compiled)

    def unet(self, work: Work) -> Tensor:
        """See :class:`~benchmarks.contestant.Contestant`."""
        with torch.inference_mode():
            return self._predict(work.x, work.timesteps, work.context, work.vector).cpu()

    def decode(self, work: Work) -> Tensor:
        """See :class:`~benchmarks.contestant.Contestant`."""
        with torch.inference_mode():
            decoded: Tensor = self._vae.decode(work.z.to(self._device, self._dtype)).sample.float()
            return decoded.cpu()

    def text(self, work: Work, *, again: bool) -> None:
        """See :class:`~benchmarks.contestant.Contestant`; the library encodes every time."""
        self._encoded(work)

    def picture(self, kind: Kind, side: int, steps: int) -> None:
        """See :class:`~benchmarks.contestant.Contestant`."""
        scheduler = EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading"
        )
        work = make_work(kind, side)
        with torch.inference_mode():
            context = self._encoded(work)
            scheduler.set_timesteps(steps, device=self._device)
            x = work.x[:1].to(self._device) * scheduler.init_noise_sigma
            for timestep in scheduler.timesteps:
                pair = scheduler.scale_model_input(torch.cat([x, x]), timestep)
                cond, uncond = self._predict(pair, timestep.expand(2), context, None).chunk(2)
                x = scheduler.step(uncond + _GUIDANCE * (cond - uncond), timestep, x).prev_sample
            self._vae.decode((x / 0.18215).to(self._dtype)).sample.float().cpu()

    def memory(self) -> int:
        """See :class:`~benchmarks.contestant.Contestant`."""
        return peak_on(self._device)

    def _predict(self, x: Tensor, timesteps: Tensor, context: Tensor, vector: Tensor | None) -> Tensor:
        added = None
        if vector is not None:  # the last six numbers of 256 features each are sizes
            sizes = torch.tensor([[1024.0, 1024.0, 0.0, 0.0, 1024.0, 1024.0]]).expand(len(x), -1)
            added = {"text_embeds": self._sent(vector[:, :1280]), "time_ids": self._sent(sizes)}
        out = self._unet(
            self._sent(x),
            timesteps.to(self._device),
            self._sent(context),
            added_cond_kwargs=added,
            return_dict=False,
        )
        answer: Tensor = out[0].float()
        return answer

    def _sent(self, value: Tensor) -> Tensor:
        return value.to(self._device, self._dtype)

    def _encoded(self, work: Work) -> Tensor:
        if self._text is None:
            raise ValueError("text is only compared for models with one encoder")
        with torch.inference_mode():
            states: Tensor = self._text(work.ids.to(self._device)).last_hidden_state
        return states

    def _filled(
        self, network: nn.Module, tensors: dict[str, Tensor], modules: dict[str, str], prefix: str
    ) -> nn.Module:
        state = {}
        for name, parameter in network.state_dict().items():
            value = tensors[prefix + str(translate(name, modules))]
            state[name] = value.to(self._device, self._dtype, copy=True).reshape(parameter.shape)
        network.load_state_dict(state, assign=True)
        network.requires_grad_(requires_grad=False).eval()
        if self._channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stub lacks it
        return network

    def _text_model(self, config: object, tensors: dict[str, Tensor], prefix: str) -> nn.Module:
        if not isinstance(config, ClipTextConfig):
            raise TypeError("only the first kind of text encoder is compared")
        model = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=config.vocabulary, hidden_size=config.width, num_hidden_layers=config.layers,
                num_attention_heads=config.heads, intermediate_size=config.mlp_width, hidden_act="quick_gelu",
            )
        )  # fmt: skip
        state = {}
        for name, value in model.state_dict().items():
            ours = name if name.startswith("text_model.") else f"text_model.{name}"
            state[name] = tensors.get(prefix + ours, value)
        model.load_state_dict(state)
        model.to(self._device, self._dtype).requires_grad_(requires_grad=False).eval()
        text: nn.Module = model
        return text


def unet_options(config: UNetConfig) -> dict[str, object]:
    """What diffusers' U-Net of this shape is built with."""
    widths = [config.model_channels * factor for factor in config.channel_mult]
    has_attention = [depth > 0 for depth in config.transformer_depth]
    down = ["CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in has_attention]
    up = ["CrossAttnUpBlock2D" if attends else "UpBlock2D" for attends in reversed(has_attention)]
    heads: int | list[int] = config.num_heads
    if config.head_channels:
        heads = [width // config.head_channels for width in widths]
    options: dict[str, object] = {
        "in_channels": config.in_channels, "block_out_channels": widths, "down_block_types": down,
        "up_block_types": up, "attention_head_dim": heads, "cross_attention_dim": config.context_dim,
        "use_linear_projection": config.linear_projections,
        "transformer_layers_per_block": [max(1, depth) for depth in config.transformer_depth],
    }  # fmt: skip
    if config.adm_channels:
        options |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": config.adm_channels,
        }
    return options


def _vae(kind: Kind) -> nn.Module:
    levels = len(kind.vae.channel_mult)
    vae: nn.Module = AutoencoderKL(
        block_out_channels=[kind.vae.channels * factor for factor in kind.vae.channel_mult],
        layers_per_block=kind.vae.num_res_blocks,
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
    )
    return vae
