"""Networks that enlarge pictures."""
