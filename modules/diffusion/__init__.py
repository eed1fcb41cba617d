"""The mathematics of diffusion, torch only: schedules, prediction, guidance, noise, samplers."""
