"""`python -m tradewright`."""

from tradewright.cli import main

main()
