"""Frozen data and text grammars of the field, free of torch: request, plan, job, infotext, prompt."""
