"""From an opened checkpoint to a Port: what the file is, and how that is known."""
