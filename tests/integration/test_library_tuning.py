"""A Library that is tuned finds what questions on other documents ask for; what does not help is not kept."""

import asyncio
import hashlib
import json
from array import array
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rixin.cli import main
from rixin.engines import Capabilities, ChatPrompt, Embeddings, EngineKind, GenerateEvent, GenerateRequest
from rixin.engines.fake import FakeEngine
from rixin.errors import Conflict, InvalidRequest, PermissionDenied
from rixin.evaluation.statistics import sign_flip_p
from rixin.knowledge import MACHINE, Block, Document, Libraries, PlacedQuestion, Reader, tuning
from rixin.knowledge.embedding import Purpose
from rixin.knowledge.ingest import Ingest
from rixin.knowledge.ranking import CosineScale
from rixin.knowledge.writing import Writing
from rixin.models.install import add_remote
from rixin.store import Database
from rixin.workspace import open_workspace

DIMENSIONS = 64
TOPICS = 24


class SlangEmbedder:
    """Each word has a direction. Questions use another word for each topic, whose direction is elsewhere: what the
    Library's own way of asking means, this embedder was never taught.
    """

    version = "slang1"

    def current(self, wanted: str | None) -> str:
        return self.version

    def counter(self, version: str) -> Callable[[str], int]:
        return len

    def limit(self, version: str) -> int:
        return 1000

    def scale(self, version: str) -> CosineScale:
        return CosineScale()

    async def embed(self, version: str, texts: Sequence[str], purpose: Purpose) -> Embeddings:
        rows = array("f")
        for text in texts:
            row = [0.0] * DIMENSIONS
            for word in text.split():
                digest = hashlib.sha512(word.encode()).digest()
                for at in range(DIMENSIONS):
                    row[at] += digest[at] - 127.5
            rows.extend(row)
        return Embeddings(vectors=rows.tobytes(), dimensions=DIMENSIONS, tokens=len(texts))


@pytest.fixture
def libraries(tmp_path: Path) -> Iterator[Libraries]:
    with Database.open(tmp_path / "rixin.db") as database:
        yield Libraries(database, tmp_path / "home", SlangEmbedder())


def run(made: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await made

    return asyncio.run(wait())


def document(number: int) -> tuple[str, Document]:
    """On two topics and of one place, which its questions name too."""
    text = f"formal{number % TOPICS} formal{number // TOPICS} rule"
    block = Block(kind="paragraph", text=text, metadata={"number": str(number)})
    return f"{number}.md", Document(title=f"D{number}", blocks=(block,), media_type="text/plain")


def filled(libraries: Libraries, count: int = 240) -> None:
    libraries.create("lib")
    run(libraries.add_documents("lib", "made", [document(number) for number in range(count)]))


def asked(count: int = 240, slang: str = "slang") -> list[PlacedQuestion]:
    return [
        PlacedQuestion(
            question=f"{slang}{number % TOPICS} {slang}{number // TOPICS} howcome", gold=({"number": str(number)},)
        )
        for number in range(count)
    ]


def found(libraries: Libraries, **options: Any) -> int:
    """How many questions find their place first."""
    right = 0
    for number in range(0, 240, 7):
        hits = run(libraries.search(["lib"], asked()[number].question, reader=MACHINE, limit=1, **options)).hits
        right += hits[0].metadata["number"] == str(number)
    return right


def test_what_is_learned_helps_questions_on_other_documents_and_can_be_undone(libraries: Libraries) -> None:
    filled(libraries)
    before = found(libraries)
    done = run(libraries.tune("lib", asked(), sign_flip_p))
    assert done.kept, done
    assert (done.version, done.unplaced, done.between) == (2, 0, 0)
    assert done.lesson.mrr_after > done.lesson.mrr_before + 0.1
    assert libraries.get("lib", MACHINE).lesson == done.lesson
    after = found(libraries)
    assert after > before
    assert found(libraries, as_of=1) == before
    assert run(libraries.untune("lib")) == 3
    assert found(libraries) == before
    assert found(libraries, as_of=2) == after
    with pytest.raises(InvalidRequest, match="not tuned"):
        run(libraries.untune("lib"))


def test_questions_whose_places_are_drawn_change_nothing(libraries: Libraries) -> None:
    filled(libraries)
    order = sorted(range(240), key=lambda number: hashlib.sha256(str(number).encode()).digest())
    drawn = [
        PlacedQuestion(question=one.question, gold=({"number": str(other)},))
        for one, other in zip(asked(), order, strict=True)
    ]
    done = run(libraries.tune("lib", drawn, sign_flip_p))
    assert (done.kept, done.version) == (False, 1)
    assert "nothing is changed" in done.why
    assert [one.number for one in libraries.versions("lib", MACHINE)] == [1]
    assert libraries.get("lib", MACHINE).lesson is None


def test_a_tuning_that_helps_no_further_is_not_made_again(libraries: Libraries) -> None:
    filled(libraries)
    assert run(libraries.tune("lib", asked(), sign_flip_p)).kept
    again = run(libraries.tune("lib", asked(), sign_flip_p))
    assert (again.kept, again.version) == (False, 2)
    assert again.lesson.p_value == 1.0


def test_places_are_named_by_chunk_document_or_metadata_and_what_has_none_is_counted(libraries: Libraries) -> None:
    filled(libraries)
    hits = run(libraries.search(["lib"], "formal3 formal0 rule", reader=MACHINE, limit=1)).hits
    first = libraries.documents("lib", MACHINE)[0]
    known = [
        PlacedQuestion(question="by chunk", chunk=hits[0].chunk_id),
        PlacedQuestion(question="by id", document=first.id),
        PlacedQuestion(question="by title", document="D7"),
        PlacedQuestion(question="by location", document="8.md"),
        PlacedQuestion(question="on two documents", gold=({"number": "9"}, {"number": "10"})),
        PlacedQuestion(question="no chunk", chunk="doc_' OR 1=1 --.1"),
        PlacedQuestion(question="no document", document="x') OR true --"),
        PlacedQuestion(question="no number", gold=({"number": "1000"}, {})),
        PlacedQuestion(question="nowhere"),
    ]
    with pytest.raises(InvalidRequest, match=r"are the least\. 4 more have no place in the Library"):
        run(libraries.tune("lib", known, sign_flip_p))
    done = run(libraries.tune("lib", [*known, *asked()], sign_flip_p))
    assert done.unplaced == 4
    assert done.lesson.learned_from + done.lesson.held_out + done.between == 245


def test_the_next_ingest_keeps_what_was_learned_and_another_embedder_forgets_it(
    libraries: Libraries, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(libraries)
    lesson = run(libraries.tune("lib", asked(), sign_flip_p)).lesson
    after = found(libraries)
    assert run(libraries.add_documents("lib", "more", [("x.md", document(240)[1])])).version == 3
    assert libraries.get("lib", MACHINE).lesson == lesson
    assert found(libraries) >= after - 1
    monkeypatch.setattr(SlangEmbedder, "version", "slang2")
    assert run(libraries.add_documents("lib", "more", [("x.md", document(240)[1])])).version == 4
    assert libraries.get("lib", MACHINE).lesson is None


def test_killed_before_it_is_kept_it_has_changed_nothing_and_the_next_one_goes_through(
    libraries: Libraries, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(libraries)
    before = found(libraries)

    def dies(folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "synced", dies)
    with pytest.raises(KeyboardInterrupt):
        run(libraries.tune("lib", asked(), sign_flip_p))
    assert (found(libraries), libraries.get("lib", MACHINE).version) == (before, 1)
    monkeypatch.undo()
    assert run(libraries.tune("lib", asked(), sign_flip_p)).version == 2


def test_an_ingest_that_was_killed_before_a_tuning_is_taken_up_after_it(
    libraries: Libraries, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(libraries)
    finish = Ingest._finish

    async def dies(self: Ingest, writing: Writing) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ingest, "_finish", dies)
    later = [("late.md", document(240)[1])]
    with pytest.raises(KeyboardInterrupt):
        run(libraries.add_documents("lib", "more", later))
    monkeypatch.setattr(Ingest, "_finish", finish)
    assert run(libraries.tune("lib", asked(), sign_flip_p)).version == 2
    assert len(libraries.documents("lib", MACHINE)) == 240
    assert run(libraries.add_documents("lib", "more", later)).version == 3
    assert len(libraries.documents("lib", MACHINE)) == 241
    assert len(libraries.documents("lib", MACHINE, as_of=2)) == 240
    wanted = {"number": "240"}
    assert len(run(libraries.search(["lib"], "formal0 rule", reader=MACHINE, filters=wanted)).hits) == 1


def test_it_is_tuned_by_one_at_a_time_who_may_change_it(libraries: Libraries) -> None:
    filled(libraries)

    async def both() -> list[Any]:
        return await asyncio.gather(
            *(libraries.tune("lib", asked(), sign_flip_p) for _ in range(2)), return_exceptions=True
        )

    first, second = run(both())
    assert first.kept
    assert isinstance(second, Conflict)
    libraries.set_visibility("lib", "everyone")
    for asking in (
        libraries.tune("lib", asked(), sign_flip_p, actor=Reader(user_id="bob")),
        libraries.untune("lib", actor=Reader(user_id="bob")),
    ):
        with pytest.raises(PermissionDenied):
            run(asking)


def test_a_library_without_a_version_can_not_be_tuned(libraries: Libraries) -> None:
    libraries.create("lib")
    with pytest.raises(InvalidRequest, match="Nothing is read"):
        run(libraries.tune("lib", asked(), sign_flip_p))


def test_from_a_terminal_with_a_file_of_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("rixin.workspace.AliasEmbedder", lambda models, engines: SlangEmbedder())
    with open_workspace() as workspace:
        filled(workspace.libraries)
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(f"{msgspec.json.encode(one).decode()}\n\n" for one in asked()))

    def rixin(*arguments: str) -> tuple[str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["library", *arguments])
        assert not ended.value.code
        said = capsys.readouterr()
        return said.out, said.err

    out, err = rixin("tune", "lib", "--from", str(file))
    assert out.splitlines()[0] == "Questions on documents that it did not learn from are found better."
    assert "MRR@10 0." in out
    assert "version 2" in err
    assert "Tuned: Learned from" in rixin("show", "lib")[0]
    shown = json.loads(rixin("show", "lib", "--json")[0])
    assert shown["library"]["lesson"]["held_out"] > 50
    assert "version 3, which is not tuned" in rixin("tune", "lib", "--undo")[1]
    assert json.loads(rixin("tune", "lib", "--from", str(file), "--json")[0])["kept"] is True
    for line, told in (("{", "questions.jsonl:2"), ('{"question": " "}', "from 1 to 2,000 characters")):
        file.write_text(f'{{"question": "a"}}\n{line}\n')
        with pytest.raises(SystemExit):
            main(["library", "tune", "lib", "--from", str(file)])
        assert told in capsys.readouterr().err


class Asker(FakeEngine):
    """Asks of each passage in the Library's slang, and answers from it."""

    def capabilities(self) -> Capabilities:
        return msgspec.structs.replace(super().capabilities(), json_schema=False, parallel=1)

    def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        assert isinstance(request.prompt, ChatPrompt)
        passage = request.prompt.messages[-1].content
        if "Question: " in passage:
            self.reply = json.dumps({"answerable": True, "answer": "yes"})
        else:
            text = passage.partition("\n\n")[2]
            first, second, *_ = (word.removeprefix("formal") for word in text.split())
            asked = f"slang{first} slang{second} howcome"
            self.reply = json.dumps({"question": asked, "answer": "yes", "quote": text[:20]})
        return super().generate(request)


def test_a_model_makes_the_questions_and_its_answers_check_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("rixin.workspace.AliasEmbedder", lambda models, engines: SlangEmbedder())
    monkeypatch.setattr(
        "rixin.workspace.engine_kinds", lambda settings: {"remote": EngineKind(lambda version: Asker())}
    )
    with open_workspace() as workspace:
        version = add_remote(workspace.models, "asker", "http://127.0.0.1:9/v1", "asker")
        workspace.models.set_alias("chat", version.id)
        workspace.libraries.create("lib")
        padded = [
            (
                place,
                Document(
                    title=one.title,
                    blocks=(Block(kind="paragraph", text=f"{one.text} {'x' * 60}"),),
                    media_type="text/plain",
                ),
            )
            for place, one in map(document, range(240))
        ]
        run(workspace.libraries.add_documents("lib", "made", padded))
    with pytest.raises(SystemExit) as ended:
        main(["library", "tune", "lib", "--questions", "200", "--json"])
    assert not ended.value.code
    done = json.loads(capsys.readouterr().out)
    assert done["kept"], done
    assert done["lesson"]["learned_from"] + done["lesson"]["held_out"] > 150
