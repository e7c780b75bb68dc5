"""Safety: what may not be kept or shown as it is."""

from rixin.safety.found import Found, Kind
from rixin.safety.pii import Masked, find, mask, mask_all

__all__ = ["Found", "Kind", "Masked", "find", "mask", "mask_all"]
