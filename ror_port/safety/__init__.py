"""Reading untrusted files and writing to disks that fail: child processes, limits, deferred signals."""
