"""Utf8Stream and StopFilter against the naive definition on the whole text."""

from hypothesis import given
from hypothesis import strategies as st

from rixin.text import StopFilter, Utf8Stream

HOSTILE = st.sampled_from([b"\xe6", b"\x97", b"\xf0\x9f", b"\x98\x80", b"\xc0", b"\xff", b"\xed\xa0\x80", b"a"])


@given(st.lists(st.binary(max_size=5) | HOSTILE | st.text(max_size=3).map(str.encode)))
def test_any_split_of_bytes_decodes_as_the_whole(pieces: list[bytes]) -> None:
    stream = Utf8Stream()
    text = "".join(stream.feed(piece) for piece in pieces) + stream.flush()
    assert text == b"".join(pieces).decode("utf-8", "replace")


def test_a_character_is_never_cut() -> None:
    stream = Utf8Stream()
    assert [stream.feed(bytes([byte])) for byte in "日A".encode()] == ["", "", "日", "A"]
    assert stream.flush() == ""


def naive_stop(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    """Look at every end from the left; at each, at the longest stop string first."""
    for end in range(1, len(text) + 1):
        for stop in sorted(stops, key=len, reverse=True):
            if text[:end].endswith(stop):
                return text[: end - len(stop)], stop
    return text, None


LETTERS = st.text(alphabet="ab日", max_size=4)


@given(st.lists(LETTERS), st.lists(st.text(alphabet="ab日", min_size=1, max_size=5), max_size=4).map(tuple))
def test_any_split_stops_as_the_whole_text_does(pieces: list[str], stops: tuple[str, ...]) -> None:
    filter_ = StopFilter(stops)
    shown = ""
    for piece in pieces:
        text, stop = filter_.feed(piece)
        shown += text
        if stop is not None:
            break
    else:
        shown, stop = shown + filter_.flush(), None
    assert (shown, stop) == naive_stop("".join(pieces), stops)


@given(st.lists(LETTERS), st.lists(st.text(alphabet="ab日", min_size=1, max_size=5), min_size=1, max_size=4).map(tuple))
def test_only_what_may_still_become_a_stop_string_is_held_back(pieces: list[str], stops: tuple[str, ...]) -> None:
    filter_ = StopFilter(stops)
    fed = shown = ""
    for piece in pieces:
        fed += piece
        text, stop = filter_.feed(piece)
        shown += text
        if stop is not None:
            return
        held = fed[len(shown) :]
        assert held == "" or any(one.startswith(held) for one in stops)


def test_a_stop_string_over_three_pieces_does_not_leak() -> None:
    filter_ = StopFilter(("<|end|>",))
    assert filter_.feed("Hello <|") == ("Hello ", None)
    assert filter_.feed("en") == ("", None)
    assert filter_.feed("d|> more") == ("", "<|end|>")
