"""`rixin up`: the server, with its model and its page, until Ctrl-C."""

import logging
import sys
import time

from rixin.cli.progress import ProgressLine
from rixin.errors import RixinError
from rixin.http import Listener, create_app, serve
from rixin.models import Version, ensure_default, ensure_embedder
from rixin.settings import load_settings
from rixin.workspace import Workspace


def up(*, host: str | None = None, port: int | None = None, model: str | None = None) -> None:
    """Start the server; the first start also fetches a model, and prints the link that makes the first account.

    Parameters
    ----------
    host
        Address to listen on; 0.0.0.0 lets other machines in. RIXIN_HOST, or 127.0.0.1, if left out.
    port
        Port to listen on; 0 takes a free one. RIXIN_PORT, or 8000, if left out.
    model
        The model behind the name `chat`: auto, a catalogue name or a reference. RIXIN_MODEL, or auto, if left out.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    given = {"host": host, "port": port, "model": model}
    settings = load_settings(options={name: value for name, value in given.items() if value is not None})
    with Listener(settings.host, settings.port) as listener, Workspace(settings) as workspace:
        with ProgressLine() as line:
            choice = ensure_default(workspace.models, line.report)
        ensure_embedder(workspace.models)
        _say(choice.sentence)
        address = (settings.public_url or listener.url).rstrip("/")
        serve(
            create_app(workspace, background=lambda: _load(workspace, choice.version)),
            listener,
            proxied=settings.public_url is not None,
            on_start=lambda: _greet(workspace, address),
        )
    _say("Stopped.")


def _greet(workspace: Workspace, address: str) -> None:
    _say(f"Rixin is at {address}")
    if workspace.accounts.setup_needed():
        token = workspace.accounts.create_setup_token()
        _say(f"First start: make your account within a day at {address}/setup#token={token}")


async def _load(workspace: Workspace, version: Version) -> None:
    began = time.monotonic()
    try:
        await workspace.engines.load(version)
    except RixinError as error:
        print(f"The model can't answer: {error}", file=sys.stderr, flush=True)
        return
    _say(f"{version.model_name} is ready, after {time.monotonic() - began:.1f} s. Ctrl-C stops the server.")


def _say(sentence: str) -> None:
    print(sentence, flush=True)
