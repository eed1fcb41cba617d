"""The mathematics of diffusion: schedules, prediction, guidance, noise, samplers. Torch only."""

__all__: list[str] = []
