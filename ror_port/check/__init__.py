"""Whether a file computes what its source computed: running, comparing, explaining, certifying."""
