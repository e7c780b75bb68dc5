"""Cleaning: rows repaired, judged and counted, so that what is learned is worth it."""
