"""How often the embedded model's pictures show what was asked for, judged by a network of its own."""
