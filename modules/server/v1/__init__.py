"""Our own API under /api/v1: jobs that are submitted, watched and steered by id."""
