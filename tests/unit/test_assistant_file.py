"""`assistant.toml`: read strictly, written so that it reads back the same, its version is its content."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixin.assistants.assistant import Assistant, Limits, Title, assistant_toml, parse_assistant, read_assistant
from rixin.errors import InvalidRequest

LEAST = 'name = "law"\ntitle = { zh = "法律", en = "Law" }\n'


def test_the_least_is_a_name_and_a_title() -> None:
    assert parse_assistant(LEAST) == Assistant(name="law", title=Title(zh="法律", en="Law"))
    with pytest.raises(InvalidRequest, match=r"required field `title`.*The least that it needs"):
        parse_assistant('name = "law"\n')


@pytest.mark.parametrize(
    ("text", "where", "param"),
    [
        (LEAST + "\n[policy]\nrefuse_below = 3\n", "assistant.toml:5", "policy.refuse_below"),
        (LEAST + 'modle = "chat"\n', "assistant.toml:3", "modle"),
        (LEAST + "[limits]\npassages = 0\n", "assistant.toml:4", "limits.passages"),
        ('name = "../etc"\ntitle = { zh = "a", en = "b" }\n', "assistant.toml:1", "name"),
        (LEAST + 'libraries = ["A b"]\n', "assistant.toml:3", "libraries[0]"),
        (LEAST + "[limits]\ncontext_tokens = 600\n", "assistant.toml", "limits.context_tokens"),
        ('name = "law"\ntitle = { zh = "", en = "b" }\n', "assistant.toml:2", "title.zh"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(text: str, where: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_assistant(text)
    assert (raised.value.where, raised.value.param) == (where, param)


def test_what_is_no_toml_or_no_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"not TOML.*line 1"):
        parse_assistant("name = law")
    with pytest.raises(InvalidRequest, match="No such file"):
        read_assistant(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        read_assistant(tmp_path / "latin.toml")


PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(
    instructions=PLAIN,
    zh=PLAIN.filter(bool).map(lambda text: text[:200]),
    filters=st.dictionaries(PLAIN, PLAIN, max_size=3),
    libraries=st.lists(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True), max_size=3),
)
def test_what_is_exported_reads_back_as_the_same_version(
    instructions: str, zh: str, filters: dict[str, str], libraries: list[str]
) -> None:
    made = Assistant(
        name="law",
        title=Title(zh=zh, en="Law"),
        instructions=instructions,
        filters=filters,
        libraries=tuple(libraries),
        limits=Limits(passages=3),
    )
    again = parse_assistant(assistant_toml(made))
    assert again == made
    assert again.version == made.version


def test_any_change_is_another_version() -> None:
    made = parse_assistant(LEAST)
    assert made.version.startswith("a_")
    assert len(made.version) == 14
    assert msgspec.structs.replace(made, instructions="别的").version != made.version
