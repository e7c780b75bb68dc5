"""`python -m rixin` is `rixin`."""

from rixin.cli import main

main()
