"""What buttons do: jobs are submitted, followed and steered."""
