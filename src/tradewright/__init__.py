"""Tradewright."""
