"""`python -m tradewright`."""

from tradewright.cli import main

if __name__ == "__main__":
    main()
