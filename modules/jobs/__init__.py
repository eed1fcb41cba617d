"""The job queue, the board of live views, and the service that joins them. No torch, no HTTP."""
