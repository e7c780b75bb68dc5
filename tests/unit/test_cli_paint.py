"""The terminal's colours change nothing in the text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from rixin.cli.paint import CODE, RESET, Painter, printable

PIECES = st.lists(
    st.sampled_from(["```", "``", "`", "**", "*", "\n", "# Title", "x = 1", " ", "日", "\x1b[2J", "\x07"])
)


@given(PIECES)
def test_without_its_colours_the_text_is_what_went_in(pieces: list[str]) -> None:
    painter = Painter()
    shown = "".join(map(painter.feed, pieces)) + painter.finish()
    assert shown.endswith(RESET)
    assert re.sub(r"\x1b\[\d+m", "", shown) == printable("".join(pieces))


def test_code_is_coloured_to_its_end() -> None:
    painter = Painter()
    shown = "".join(map(painter.feed, "Do `x` so:\n```py\na = '`'\n```\nDone")) + painter.finish()
    assert shown == f"Do {CODE}`x`{RESET} so:\n{CODE}```py\na = '`'\n```{RESET}\nDone{RESET}"


def test_a_model_can_not_command_the_terminal() -> None:
    assert printable("a\x1b]0;title\x07b\x9b2J\tc\r\n") == "a]0;titleb2J\tc\n"
