"""Where and how the arithmetic runs: device, number formats, memory, attention."""
