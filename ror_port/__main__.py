"""``python -m ror_port``."""

from ror_port.cli import main

if __name__ == "__main__":
    main()
