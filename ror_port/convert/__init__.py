"""From a Port to a file: written, read again, and put in place atomically."""
