"""The engine's own process: `python -m rixin.engines.worker`, commands on standard input, replies on standard output.

A crash of native code ends this process and no other. It ends by itself when its standard input closes, so it never
outlives the server that started it.
"""

import contextlib
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rixin.engines.wire import Command, Failed, Load, Outbox, failed, read_commands
from rixin.errors import RixinError

log = logging.getLogger(__name__)

OOM_SCORE = "500"


def main() -> None:
    """Load what the first command names, then serve until standard input ends."""
    faulthandler.enable()
    logging.basicConfig(format="%(levelname)s worker: %(message)s", level=logging.INFO, stream=sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then closes our input
    with contextlib.suppress(OSError):  # when memory runs out, the kernel should end this process first
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    outbox = Outbox(_take_standard_output())
    commands = read_commands(sys.stdin.buffer)
    load = next(commands, None)
    if not isinstance(load, Load):
        return
    try:
        _serve(load, commands, outbox)
    except RixinError as error:
        outbox.send(failed("", error))
    except ConnectionError:  # the server is gone
        pass
    except Exception as error:
        log.exception("The engine failed")
        outbox.send(Failed(id="", error="EngineUnavailable", message=f"The engine failed: {error}"))
    finally:
        sys.stderr.flush()
        os._exit(0)  # threads of native libraries would hold the process


def _serve(load: Load, commands: Iterator[Command], outbox: Outbox) -> None:
    # Imported here: an embedder never needs OpenVINO, nor the other way round.
    if load.kind in ("embedder", "reranker"):
        from rixin.engines.embedder_worker import serve as serve_embedder

        serve_embedder(load, commands, outbox)
    else:
        from rixin.engines.openvino.serve import serve

        serve(load, commands, outbox)


def _take_standard_output() -> BinaryIO:
    """The pipe to the server; whatever else prints goes to standard error, where it can't break a message."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe


if __name__ == "__main__":
    main()
