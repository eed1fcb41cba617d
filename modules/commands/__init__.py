"""What the command line does beside running the server: pictures without a page."""
