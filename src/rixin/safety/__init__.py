"""Safety: what may not be kept or shown as it is."""
