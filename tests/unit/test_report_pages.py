"""A Report as a file to read: HTML that holds everything and trusts nothing, and Markdown."""

import base64
import hashlib
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import EXAMPLES, HOSTILE, make_report, make_samples
from rixin.errors import InvalidRequest
from rixin.evaluation import Presentation, Sample, write_presentation
from rixin.evaluation.compare import compare
from rixin.evaluation.gate import decide, parse_gate
from rixin.evaluation.html import to_html
from rixin.evaluation.markdown import to_markdown
from rixin.evaluation.packed import Packed, pack_samples

GATE = '[[primary]]\ntask = "sums"\nmetric = "right"\n[[guard]]\ntask = "orders"\nmetric = "right"\nmargin = 0.1\n'
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def presented(samples: Sequence[Sample]) -> Presentation:
    return Presentation(
        kind="report", reports=[make_report("small", samples)], samples=[samples], command="rixin eval report e_small"
    )


def compared(count: int = 100) -> Presentation:
    before, after = make_samples(count), make_samples(count, seed=5, right=0.9)
    a, b = make_report("before", before), make_report("after", after)
    comparison = compare(a, b, before, after)
    decision = decide(parse_gate(GATE, "gate.toml"), "ab" * 32, comparison)
    return Presentation(
        kind="comparison",
        reports=[a, b],
        samples=[before, after],
        command=f"rixin eval report {b.id} --against {a.id}",
        comparisons=[comparison],
        decision=decision,
    )


def unpacked(page: str) -> Packed:
    """What the page's own script reads."""
    found = re.search(r'<script type="text/plain" id="packed">([A-Za-z0-9+/=]*)</script>', page)
    assert found
    return msgspec.json.decode(zlib.decompress(base64.b64decode(found[1])), type=Packed)


def prompts_of(packed: Packed) -> list[str]:
    """Front-coded prompts, put together as a browser does: in units of UTF-16."""
    made, last = [], b""
    for common, rest in packed.prompts:
        last = last[: 2 * common] + rest.encode("utf-16-le")
        made.append(last.decode("utf-16-le"))
    return made


@given(st.lists(TEXTS, max_size=20), TEXTS)
def test_prompts_survive_their_packing_whatever_they_share(endings: list[str], start: str) -> None:
    samples = [
        Sample(
            task="t",
            item=str(number),
            cluster=str(number),
            prompt=start + ending,
            answer="",
            expected="",
            scores={"right": 1.0},
        )
        for number, ending in enumerate(endings)
    ]
    packed = pack_samples([samples])
    prompts = prompts_of(packed)
    assert [prompts[number] for number in packed.columns[0].prompt] == [one.prompt for one in samples]


def test_every_sample_is_in_the_page_and_what_prompts_share_is_there_once() -> None:
    samples = make_samples(40)
    packed = unpacked(to_html(presented(samples)))
    prompts = prompts_of(packed)
    [column] = packed.columns
    found = {
        (packed.tasks[task], item): (prompts[column.prompt[at]], column.answer[at], packed.expected[at])
        for at, (task, item) in enumerate(zip(packed.task, packed.item, strict=True))
    }
    assert found == {(one.task, one.item): (one.prompt, one.answer, one.expected) for one in samples}
    assert packed.metrics == [["right", "tidy"], ["right", "tidy"]]
    assert len(column.contaminated) == 1
    assert sum(EXAMPLES[:500] in rest for _, rest in packed.prompts) == 1


def test_an_item_that_only_one_report_has_is_there_with_a_gap() -> None:
    both = make_samples(4)
    packed = pack_samples([both[:3], both])
    assert len(packed.item) == 4
    assert [min(column.prompt) for column in packed.columns] == [-1, 0]


def test_a_page_may_run_its_own_script_and_nothing_else() -> None:
    page = to_html(presented(make_samples(10)))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (script, style)]
    rules = policy[1].replace("&#x27;", "'").split("; ")
    assert rules[:3] == ["default-src 'none'", f"script-src 'sha256-{hashes[0]}'", f"style-src 'sha256-{hashes[1]}'"]
    assert not re.search(r"""(src|href)\s*=|url\(|@import|innerHTML|insertAdjacent|eval\(""", page)


def test_texts_of_a_report_never_become_markup() -> None:
    samples = make_samples(10)
    report = msgspec.structs.replace(
        make_report("small", samples), suite_title=HOSTILE, notes=[HOSTILE, "{{script}} {{samples}} \\1"]
    )
    page = to_html(Presentation(kind="report", reports=[report], samples=[samples], command=HOSTILE))
    assert "<img" not in page
    assert page.count("</script>") == page.count("<script") == 3
    facts = re.search(r'id="facts">(.*?)</script>', page, re.DOTALL)
    assert facts
    assert msgspec.json.decode(facts[1])["reports"][0]["notes"] == [HOSTILE, "{{script}} {{samples}} \\1"]


def test_a_page_that_would_be_too_large_has_its_longest_texts_cut_and_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = make_samples(200, words=400)
    whole = to_html(presented(samples))
    monkeypatch.setattr("rixin.evaluation.html.LIMIT_BYTES", 140_000)
    page = to_html(presented(samples))
    assert len(page) < 140_000 < len(whole)
    facts = re.search(r'"cut":(\d+)', page)
    assert facts
    assert int(facts[1]) >= 200
    assert '"cut":0' in whole
    assert any("characters …]" in answer for answer in unpacked(page).columns[0].answer)


def test_markdown_has_the_tables_the_decision_and_fences_that_no_answer_closes() -> None:
    presentation = compared()
    text = to_markdown(presentation)
    assert "**Promote: sums/right" in text
    assert "| sums / right | " in text
    assert "| after | sums | right | " in text
    assert "the clean scores leave them out" in text
    assert text.rstrip().endswith("rixin eval report e_after0000000 --against e_before000000\n```")
    samples = [msgspec.structs.replace(one, answer="```\n# taken\n````") for one in make_samples(2)]
    fenced = to_markdown(presented(samples))
    assert "`````text\n```\n# taken\n````\n`````" in fenced
    assert "Office \\<b\\>questions\\</b\\>" in fenced


def test_markdown_begins_with_what_went_wrong_or_changed() -> None:
    presentation = compared()
    shown = re.findall(r"^### (\S+) / (\S+)$", to_markdown(presentation), re.MULTILINE)
    assert len(shown) == 50
    scores = [{(one.task, one.item): one.scores["right"] for one in samples} for samples in presentation.samples]
    first = shown[0]
    assert scores[0][first] != scores[1][first]


@pytest.mark.parametrize("name", ["report.pdf", "report"])
def test_a_report_is_written_as_html_or_markdown_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"as \.html or \.md"):
        write_presentation(presented(make_samples(2)), tmp_path / name)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="can't be written"):
        write_presentation(presented(make_samples(2)), tmp_path / "file" / "report.html")
