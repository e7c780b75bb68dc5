"""How PostgreSQL is opened here: through psycopg 3, with waits that end."""

from typing import Final

from sqlalchemy import URL, Engine, create_engine

READ_OPTIONS: Final = {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}


def postgresql_engine(url: URL, busy_timeout_s: float) -> Engine:
    """An engine on `url`; waiting for a lock or a connection ends after `busy_timeout_s`."""
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={
            "connect_timeout": 10,
            "application_name": "rixin",
            "options": f"-c timezone=UTC -c lock_timeout={int(busy_timeout_s * 1000)}",
        },
        pool_size=8,
        max_overflow=24,
        pool_timeout=busy_timeout_s,
        pool_pre_ping=True,
    )
