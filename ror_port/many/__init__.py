"""Many files: found, worked on by any executor, and accounted for in a ledger, a line each."""
