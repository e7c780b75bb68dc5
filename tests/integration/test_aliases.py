"""Where aliases point, the canary beside them and the way back, on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixin.errors import Conflict, InvalidRequest, ModelNotFound
from rixin.models import NewModel, NewVersion, Registry, goes_to_canary
from rixin.models.aliases import AliasMove, version_before
from rixin.settings import Settings
from rixin.store import Database, RunRow, now

A, B, C = "v_00000000000a", "v_00000000000b", "v_00000000000c"


@pytest.fixture
def registry(database: Database, tmp_path: Path) -> Registry:
    home = tmp_path / "home"
    home.mkdir()
    made = Registry(database, Settings.model_validate({"home": home}))
    for version_id in (A, B, C):
        enter(made, version_id)
    made.set_alias("chat", A)
    return made


def enter(registry: Registry, version_id: str) -> None:
    (registry.home / "models" / version_id).mkdir(parents=True)
    registry.register(
        NewModel(name="one", title="One"),
        NewVersion(
            id=version_id,
            source="file:one",
            engine="openvino",
            format="openvino",
            licence="MIT",
            context_length=2048,
            folder=f"models/{version_id}",
        ),
    )


def test_going_back_twice_goes_back_two_moves(registry: Registry) -> None:
    registry.set_alias("chat", B, why="Cycle c_1")
    registry.set_alias("chat", C, why="Cycle c_2")
    assert registry.rollback("chat").version_id == B
    assert registry.rollback("chat").version_id == A
    with pytest.raises(Conflict, match="nothing to go back to"):
        registry.rollback("chat")
    assert [(move.before, move.after, move.why) for move in registry.moves("chat")] == [
        (None, A, "set by hand"),
        (A, B, "Cycle c_1"),
        (B, C, "Cycle c_2"),
        (C, B, "rolled back by hand"),
        (B, A, "rolled back by hand"),
    ]


def test_going_back_ends_a_canary_first_and_moves_only_then(registry: Registry) -> None:
    registry.set_alias("chat", B)
    registry.set_canary("chat", C, share=0.5, rules={})
    went = registry.rollback("chat")
    assert (went.version_id, went.canary_version_id, went.canary_share) == (B, None, 0)
    assert registry.rollback("chat").version_id == A


@given(st.lists(st.sampled_from("abcd"), max_size=12))
def test_the_way_back_never_leads_to_what_was_left(targets: list[str]) -> None:
    moves = [AliasMove(None, "a", "", now())]
    for target in targets:
        if target != moves[-1].after:
            moves.append(AliasMove(moves[-1].after, target, "", now()))
    at, left = moves[-1].after, set[str]()
    while (before := version_before(moves)) is not None:
        left.add(at)
        moves.append(AliasMove(at, before, "rolled back", now()))
        at = before
        assert before not in left or before in targets  # only a version that was chosen twice comes twice
        assert len(moves) < 30, "the way back has no end"
    assert at == "a"


def test_a_version_that_was_deleted_is_not_gone_back_to(registry: Registry) -> None:
    registry.set_alias("chat", B)
    (registry.home / "models" / A).rmdir()
    with pytest.raises(ModelNotFound, match="has been removed from this machine"):
        registry.rollback("chat")
    registry.forget(A, force=True)
    with pytest.raises(ModelNotFound, match="has been removed from this machine"):
        registry.rollback("chat")
    assert registry.resolve("chat").id == B
    with pytest.raises(ModelNotFound, match="no alias 'nope'"):
        registry.rollback("nope")


def test_what_a_canary_or_the_way_back_needs_is_not_removed_by_accident(registry: Registry) -> None:
    registry.set_alias("chat", B)
    registry.set_canary("chat", C, share=0.1, rules={})
    with pytest.raises(Conflict, match="the way back of chat"):
        registry.forget(A)
    with pytest.raises(Conflict, match="the canary of chat"):
        registry.forget(C)
    registry.forget(C, force=True)
    left = registry.alias("chat")
    assert left is not None
    assert (left.version_id, left.canary_version_id) == (B, None)


@pytest.mark.parametrize(
    ("status", "needed"), [("queued", True), ("running", True), ("paused", True), ("failed", False)]
)
def test_what_a_run_begins_from_is_not_removed_until_it_has_ended(
    registry: Registry, status: str, needed: bool
) -> None:
    plan = {"assignment": {"bases": {"model": {"version": B}, "teacher": {"version": C}}}}
    with registry.database.write() as session:
        session.add(RunRow(id="run_1", kind="distill", name="n", recipe={}, plan=plan, status=status))
        session.add(RunRow(id="run_2", kind="sft", name="n", recipe={}, status="queued"))  # not planned yet
    for version_id in (B, C):
        if needed:
            with pytest.raises(Conflict, match="is needed by run_1"):
                registry.forget(version_id)
        else:
            registry.forget(version_id)


def test_a_conversation_stays_with_the_version_it_was_drawn_for(registry: Registry) -> None:
    canary = registry.set_canary("chat", B, share=0.25, rules={})
    drawn = {f"cnv_{at}": registry.resolve("chat", conversation=f"cnv_{at}").id for at in range(200)}
    assert 25 <= list(drawn.values()).count(B) <= 75
    for conversation, version_id in drawn.items():
        assert registry.resolve("chat", conversation=conversation).id == version_id
        assert goes_to_canary(canary, 0.25, conversation) == (version_id == B)
    routed = registry.route("chat", next(name for name, version_id in drawn.items() if version_id == B))
    assert (routed.canary_id, routed.baseline and routed.baseline.id) == (canary, A)
    assert registry.resolve("chat").id == A  # without a conversation: commands, embeddings
    registry.end_canary(canary, "ended", "enough")
    other = registry.set_canary("chat", B, share=0.25, rules={})
    again = {name for name in drawn if goes_to_canary(other, 0.25, name)}
    assert again != {name for name, version_id in drawn.items() if version_id == B}, "each canary draws anew"


def test_an_alias_has_one_canary_at_a_time_and_it_is_another_version(registry: Registry) -> None:
    for share in (0, 1.1, -0.5):
        with pytest.raises(InvalidRequest, match="A share of"):
            registry.set_canary("chat", B, share=share, rules={})
    with pytest.raises(InvalidRequest, match="already"):
        registry.set_canary("chat", A, share=0.1, rules={})
    with pytest.raises(ModelNotFound):
        registry.set_canary("nope", B, share=0.1, rules={})
    registry.set_canary("chat", B, share=0.1, rules={})
    with pytest.raises(Conflict, match="has a canary already"):
        registry.set_canary("chat", C, share=0.1, rules={})


def test_a_promotion_moves_the_alias_once_and_an_end_is_final(registry: Registry) -> None:
    canary = registry.set_canary("chat", B, share=0.1, rules={})
    assert registry.end_canary(canary, "promoted", "better")
    assert not registry.end_canary(canary, "rolled_back", "too late")
    assert registry.resolve("chat").id == B
    assert registry.moves("chat")[-1].why == "better"
    assert not registry.end_canary("can_nope", "ended", "")


def test_pointing_an_alias_elsewhere_ends_its_canary(registry: Registry) -> None:
    canary = registry.set_canary("chat", B, share=0.1, rules={})
    registry.set_alias("chat", C)
    assert not registry.end_canary(canary, "promoted", "too late")
    assert registry.resolve("chat", conversation="any").id == C
    other = registry.set_canary("chat", B, share=0.1, rules={})
    registry.remove_alias("chat")
    assert not registry.end_canary(other, "promoted", "too late")
