"""A small template over one row of data, such as a suite's prompt; from a stranger, so it runs in the sandbox."""

from collections.abc import Mapping

from jinja2 import StrictUndefined, TemplateSyntaxError

from rixin.errors import TemplateError
from rixin.text.sandbox import ChatEnvironment, metered
from rixin.text.template import FAULTS, said


class RowTemplate:
    """A compiled template whose variables are the fields of a row; a field that is missing is an error."""

    def __init__(self, source: str) -> None:
        """Compile `source`. Raises TemplateError naming the line that can't be read."""
        environment = ChatEnvironment()
        environment.undefined = StrictUndefined
        environment.keep_trailing_newline = True
        try:
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise TemplateError(str(error.message), where=f"template: line {error.lineno}") from None
        except FAULTS as error:
            raise TemplateError(f"The template can't be compiled: {said(error)}") from None

    def render(self, row: Mapping[str, object]) -> str:
        """The text for `row`. Raises TemplateError with what went wrong, or the limit that it passed."""
        try:
            with metered():
                return self._template.render(**row)
        except FAULTS as error:
            raise TemplateError(f"The template failed: {said(error)}") from None
