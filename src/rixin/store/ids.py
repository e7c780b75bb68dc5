"""Identifiers that sort by the time they were made.

Source: RFC 9562, UUID version 7 (48 bits of milliseconds, then a counter in the random part's upper bits).
"""

import secrets
import threading
import time
from datetime import datetime

_lock = threading.Lock()
_last = 0


def new_id(prefix: str) -> str:
    """`prefix_` and 32 hex digits. Within a process every id is greater than those before it."""
    global _last
    with _lock:
        # 48 bits of milliseconds over a 16-bit counter; a clock that stands still or goes back only counts on.
        _last = max(_last + 1, (time.time_ns() // 1_000_000) << 16)
        return f"{prefix}_{_last:016x}{secrets.token_hex(8)}"


def first_id(prefix: str, moment: datetime) -> str:
    """What no id that was made at this moment or later lies below, and every earlier one does: ids sort by time."""
    return f"{prefix}_{int(moment.timestamp() * 1000) << 16:016x}"
