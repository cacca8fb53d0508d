"""What several checks share: shares of rows, what is rounding, how many times a finding names."""

from __future__ import annotations

ROUNDING = 2e-3  # relative; published prices are rounded, adjusted ones twice
FEW = 0.01
MANY = 0.05
MOST = 0.20
NEARBY = 30  # bars on each side that say what is usual there
TICKS = 2.5  # a move of so many of the smallest steps of price is none, however rarely the price moves
SAMPLE = 20_000  # about so many rows of a longer series say what is usual in it
ROWS_KEPT = 20  # times named in a finding
MAD_TO_SIGMA = 1.4826  # median absolute deviation to standard deviation, normal law
