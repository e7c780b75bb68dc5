"""What crosses between the server and the worker of an engine."""

import inspect

import pytest

from rixin import errors
from rixin.engines.wire import Failed, raised
from rixin.errors import RixinError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, RixinError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_that_a_worker_may_raise_is_itself_again_on_this_side(kind: type[RixinError]) -> None:
    error = raised(Failed(id="7", error=kind.__name__, message="No.", where="here", fix="Do that.", param="model"))
    assert type(error) is kind
    assert (error.message, error.where, error.fix, error.param) == ("No.", "here", "Do that.", "model")


def test_an_error_of_an_unknown_name_says_that_the_engine_cannot_be_used() -> None:
    assert isinstance(raised(Failed(id="7", error="SystemExit", message="No.")), errors.EngineUnavailable)
