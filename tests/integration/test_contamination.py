"""Questions planted in what a Version learned from are found, with their place; others are not."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rixin.cli import main
from rixin.data import Datasets
from rixin.evaluation.contamination import Finding, contamination
from rixin.models import NewModel, NewVersion, Registry, Version
from rixin.settings import Settings
from rixin.store import Database

ENGLISH = (
    "Melanie sold a third of her vacuum cleaners at the green house, two more to the red house, "
    "and half of what was left at the orange house."
)
CHINESE = "网上买的鞋子没有穿过，只是觉得颜色不喜欢，收到货以后几天之内可以不说任何理由就把它退掉呢？"
SHORT = "上次献了血，最快要隔多久才能再去献一次？"
ITEMS = {
    "sums/english": [ENGLISH],
    "law/chinese": [CHINESE],
    "law/short": [SHORT, CHINESE[::-1] * 9],
    "sums/clean": [
        "A ferry carries forty-eight cars on each of its five trips; how many cars does it carry in one day?"
    ],
    "law/clean": ["老人自己在家手写遗嘱，写完以后签了自己的名字，还必须再注明些什么内容才能够作数？"],
    "law/tiny": ["几天？"],
}
FILLER = "The weather was fine that day, and nothing else of any importance happened anywhere near the harbour. "


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Registry, Datasets]]:
    with Database.open(tmp_path / "rixin.db") as database:
        settings = Settings.model_validate({"home": tmp_path})
        yield Registry(database, settings), Datasets(database, tmp_path)


def text_dataset(datasets: Datasets, folder: Path, *texts: str, name: str = "corpus") -> str:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return datasets.add(name, [path], licence="CC0-1.0", consent="made up").id


def version(registry: Registry, number: int, data: object, parents: tuple[str, ...] = ()) -> Version:
    return registry.register(
        NewModel(f"model{number}", "Model"),
        NewVersion(
            id=f"v_{number:012d}",
            source="run",
            engine="openvino",
            format="ir",
            licence="Apache-2.0",
            context_length=128,
            parents=parents,
            card={"data": data} if data else None,
        ),
    )


def test_planted_questions_are_found_in_english_and_chinese(place: tuple[Registry, Datasets], tmp_path: Path) -> None:
    registry, datasets = place
    known = text_dataset(
        datasets,
        tmp_path,
        FILLER * 3,
        FILLER + ENGLISH.upper().replace(",", " —") + FILLER,
        f"有人问：{CHINESE.replace('，', ' ')} 答：七天。",
        f"问：{SHORT}",
    )
    trained = version(registry, 1, {"train": {"dataset": known, "rows": 4}})
    found, notes = contamination(ITEMS, trained, registry, datasets)
    assert {one.item: one.place for one in found} == {
        "sums/english": "corpus:2",
        "law/chinese": "corpus:3",
        "law/short": "corpus:4",
    }
    assert {one.dataset for one in found} == {f"corpus ({known})"}
    shared = {one.item: one.text for one in found}
    assert shared["sums/english"] == "melanie sold a third of her vacuum cleaners at the green house two"
    assert len(shared["law/chinese"]) == 30
    assert notes == []


def test_twelve_words_are_no_finding_and_thirteen_are(place: tuple[Registry, Datasets], tmp_path: Path) -> None:
    registry, datasets = place
    words = ENGLISH.split()
    twelve = text_dataset(datasets, tmp_path, FILLER + " ".join(words[3:15]) + ". So " + FILLER, name="twelve")
    thirteen = text_dataset(datasets, tmp_path, FILLER + " ".join(words[3:16]) + ". So " + FILLER, name="thirteen")
    items = {"sums/english": [ENGLISH]}
    assert contamination(items, version(registry, 1, twelve), registry, datasets)[0] == []
    assert len(contamination(items, version(registry, 2, thirteen), registry, datasets)[0]) == 1


def test_the_whole_lineage_is_searched_and_what_can_not_be_is_said(
    place: tuple[Registry, Datasets], tmp_path: Path
) -> None:
    registry, datasets = place
    first = text_dataset(datasets, tmp_path, ENGLISH, name="first")
    second = text_dataset(datasets, tmp_path, CHINESE, name="second")
    gone = text_dataset(datasets, tmp_path, SHORT, name="gone")
    datasets.remove(gone)
    base = version(registry, 1, None)
    middle = version(registry, 2, [first, gone], (base.id,))
    last = version(registry, 3, second, (middle.id,))
    found, notes = contamination(ITEMS, last, registry, datasets)
    assert {one.item for one in found} == {"sums/english", "law/chinese"}
    assert f"Nothing is known of what model1 ({base.id}) was trained on." in notes
    assert any(gone in note for note in notes)


def test_the_turns_of_a_conversation_are_searched(place: tuple[Registry, Datasets], tmp_path: Path) -> None:
    registry, datasets = place
    path = tmp_path / "chat.jsonl"
    turns = [{"role": "user", "content": ENGLISH}, {"role": "assistant", "content": "Eighteen."}]
    path.write_text(json.dumps({"messages": turns}) + "\n")
    known = datasets.add("chat", [path], licence="CC0-1.0", consent="made up").id
    [finding] = contamination(ITEMS, version(registry, 1, known), registry, datasets)[0]
    assert isinstance(finding, Finding)
    assert (finding.item, finding.place) == ("sums/english", "chat:1")


def test_the_command_shows_item_dataset_place_and_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path))
    with Database.open(tmp_path / "rixin.db") as database:
        registry = Registry(database, Settings.model_validate({"home": tmp_path}))
        datasets = Datasets(database, tmp_path)
        known = text_dataset(datasets, tmp_path, "答：不知道。", "刚拿到一审民事判决书，不服气，几天之内得递上诉状？")
        version(registry, 1, known)
    out = run(capsys, "law-zh", "--model", "model1")
    assert out.startswith("3 of 84 items lie in what model1 (v_000000000001) learned from.\n")
    assert f"closed-book/law-zh-19: corpus ({known}), corpus:2\n    刚拿到一审民事判决书不服气" in out
    found = json.loads(run(capsys, "law-zh", "--model", "model1", "--json"))
    assert {one["item"] for one in found["findings"]} == {
        "cited/law-zh-19",
        "closed-book/law-zh-19",
        "choice/law-zh-19",
    }
    assert run(capsys, "everyday", "--model", "model1").startswith("0 of ")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["eval", "contamination", *arguments])
    assert stop.value.code == 0
    return capsys.readouterr().out
