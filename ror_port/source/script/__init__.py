"""The architecture in the author's own script."""
