"""The `rixin` command. Each noun is a file, imported only when it is asked for."""

import os
import sys
from collections.abc import Sequence

from cyclopts import App

from rixin import __version__
from rixin.errors import RixinError

app = App(
    name="rixin",
    help="Rixin (日新): an organisation's own ChatGPT, private and on one machine.",
    version=__version__,
    version_flags=["--version"],
)
app.command("rixin.cli.up:up", name="up", help="Start the server, with its model and its page.")
app.command("rixin.cli.chat:chat", name="chat", help="Talk with a model in the terminal.")
app.command("rixin.cli.ask:ask", name="ask", help="Ask one question; the answer goes to standard output.")
app.command("rixin.cli.models:app", name="models", help="Pull, list, show, verify, remove and name models.")
app.command("rixin.cli.train:app", name="train", help="Train a model on your data.")
app.command("rixin.cli.runs:app", name="runs", help="List, follow, pause, resume and cancel trainings.")
app.command("rixin.cli.feedback:app", name="feedback", help="What people said of answers: list, withdraw, export.")
app.command("rixin.cli.renew:app", name="renew", help="Learn from feedback: from corrections to a better model.")
app.command("rixin.cli.data:app", name="data", help="Check, add, show, list, pull and remove datasets.")
app.command("rixin.cli.annotate:app", name="annotate", help="Label rows: models first, people where those are unsure.")
app.command("rixin.cli.library:app", name="library", help="Make, fill, search and share Libraries of documents.")
app.command("rixin.cli.evaluation:app", name="eval", help="Evaluate models on suites of questions.")
app.command(
    "rixin.cli.compare:compare", name="compare", help="Is version B better than version A, and how sure is that?"
)
app.command("rixin.cli.report:gap", name="gap", help="Place a model beside others: where it is behind, by how much.")
app.command("rixin.cli.compare:gate_app", name="gate", help="Decide by evidence whether a version may go live.")
app.command("rixin.cli.arena:app", name="arena", help="Choose between answers without knowing whose they are.")
app.command("rixin.cli.assistants:app", name="assistants", help="List, show, import, export and remove assistants.")
app.command("rixin.cli.tools:app", name="tools", help="What assistants may call, and every call that they made.")
app.command("rixin.cli.packs:app", name="packs", help="Install whole fields: a Library, an assistant and a suite.")
app.command("rixin.cli.canary:app", name="canary", help="Try a version on a share of an alias's conversations.")
app.command("rixin.cli.canary:rollback", name="rollback", help="Back to what an alias meant before, in a second.")
app.command("rixin.cli.keys:app", name="keys", help="Make, list and revoke API keys.")
app.command("rixin.cli.doctor:doctor", name="doctor", help="What machine this is, what is used of it, what would help.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. A RixinError is one line and exit status 1; Ctrl-C is 130, without a traceback."""
    try:
        app(sys.argv[1:] if arguments is None else list(arguments))
    except RixinError as error:
        print(f"rixin: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of the pipe has had enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
