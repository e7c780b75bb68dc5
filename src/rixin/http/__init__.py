"""The HTTP server: OpenAI's API, the console's, and the page."""

from rixin.http.app import create_app
from rixin.http.server import Listener, serve

__all__ = ["Listener", "create_app", "serve"]
