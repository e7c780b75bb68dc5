"""What every page that Rixin writes as one file shares: its look, and a policy that lets it load nothing."""

import base64
import hashlib
from importlib.resources import files


def page_theme() -> str:
    """Colours for light and dark, type, headings and sections."""
    return page_asset("theme.css")


def page_asset(name: str) -> str:
    """A file of pages/."""
    return files("rixin.evaluation").joinpath("pages", name).read_text("utf-8")


def page_policy(style: str, script: str = "") -> str:
    """The Content-Security-Policy of a page with this style and this script, and nothing else."""
    allowed = [*([f"script-src {_hash(script)}"] if script else []), f"style-src {_hash(style)}"]
    return "; ".join(("default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'"))


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
