"""``python -m ror_port``."""

from ror_port.cli import main

main()
