"""Fine-tuning: what artists teach a model, as LoRA, textual inversion, hypernetwork or checkpoint."""
