"""A canary is decided by what people do with its answers; a kill in between leaves what was, or what is."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from rixin.assistants import Conversations, Usage
from rixin.assistants.drafts import Drafts, Ending
from rixin.data import Datasets
from rixin.errors import Conflict, InvalidRequest, NotFound
from rixin.gateway import Principal
from rixin.models import NewModel, NewVersion, Registry, goes_to_canary
from rixin.renewal import Agreement, Canaries, Canary, CanaryRules, FeedbackService, Said, Standing, Withdrawing
from rixin.renewal.standing import PAUSED
from rixin.settings import Settings
from rixin.store import Database, UserRow, now

A, B = "v_00000000000a", "v_00000000000b"
ME = Principal(user_id="usr_me", role="member")


class House:
    """A Workspace's services around one alias, and people who use it."""

    def __init__(self, database: Database, home: Path) -> None:
        settings = Settings.model_validate({"home": home})
        self.database = database
        self.registry = Registry(database, settings)
        self.canaries = Canaries(database, self.registry)
        self.conversations = Conversations(database)
        self.drafts = Drafts(database)
        self.feedback = FeedbackService(
            database, Agreement(database, settings), Withdrawing(database, Datasets(database, home))
        )
        self.random = random.Random(5)

    def set_up(self) -> None:
        with self.database.write() as session:
            session.add(UserRow(id=ME.user_id, name="me", name_key="me", password_hash="-", role="member"))
        for version_id in (A, B):
            self.registry.register(
                NewModel(name="one", title="One"),
                NewVersion(
                    id=version_id, source="file:one", engine="fake", format="none", licence="MIT", context_length=2048
                ),
            )
        self.registry.set_alias("chat", A)

    def use(
        self,
        conversations: int,
        liked: Callable[[str], float],
        *,
        fails: Callable[[str], float] = lambda _: 0.0,
        usage: Callable[[str], Usage | None] = lambda _: None,
        rated: float = 1.0,
    ) -> None:
        """So many conversations of one question; each answer is liked with the chance that its version has."""
        for _ in range(conversations):
            made = self.conversations.create(ME.user_id, model="chat")
            version = self.registry.resolve("chat", conversation=made.id).id
            _, answer = self.conversations.ask(
                ME.user_id, made.id, parent_id=None, content="What is due?", model="chat", version=version
            )
            failed = self.random.random() < fails(version)
            ending = Ending(
                status="failed" if failed else "complete",
                content="" if failed else "The rent.",
                usage=usage(version),
            )
            self.drafts.save({}, {answer.id: ending})
            if not failed and self.random.random() < rated:
                up = self.random.random() < liked(version)
                self.feedback.give(ME, answer.id, Said(rating=1 if up else -1))

    def until_decided(self, canary: Canary, *, liked: Callable[[str], float], most: int = 600) -> Standing:
        """Use it, and look after every twenty conversations, as the server does every minute."""
        for _ in range(0, most, 20):
            self.use(20, liked)
            [standing] = self.canaries.decide_all()
            if standing.decision != "wait":
                return standing
        raise AssertionError(f"nothing was decided: {self.canaries.look(canary.id)}")


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    made = House(database, tmp_path)
    made.set_up()
    return made


def test_a_canary_that_is_worse_on_purpose_is_rolled_back_by_itself(house: House) -> None:
    canary = house.canaries.start("chat", B, share=0.5)
    standing = house.until_decided(canary, liked=lambda version: 0.3 if version == B else 0.8)
    assert standing.decision == "roll_back"
    assert standing.high < 0
    assert house.registry.resolve("chat", conversation="any").id == A
    ended = house.canaries.get(canary.id)
    assert (ended.outcome, ended.reason, ended.reason_zh) == ("rolled_back", standing.said, standing.said_zh)
    assert "like the new version's answers less" in standing.said
    assert house.canaries.decide_all() == []
    assert house.canaries.look(canary.id) == standing, "of one that has ended the last look stays"


def test_a_canary_that_is_better_is_promoted_by_itself(house: House) -> None:
    canary = house.canaries.start("chat", B, share=0.5, cycle_id="c_1")
    standing = house.until_decided(canary, liked=lambda version: 0.9 if version == B else 0.6)
    assert standing.decision == "promote"
    assert min(standing.a.conversations, standing.b.conversations) >= CanaryRules().least
    assert house.registry.resolve("chat").id == B
    assert house.registry.moves("chat")[-1].why == standing.said
    assert house.registry.rollback("chat").version_id == A


def test_equal_versions_end_as_the_rules_say(house: House) -> None:
    strict = CanaryRules(margin=0.01, longest_hours=2)
    canary = house.canaries.start("chat", B, share=0.5, rules=strict)
    house.use(40, lambda _: 0.7)  # few: which conversations are whose is drawn anew each time, and luck decides at last
    assert house.canaries.decide(canary.id).decision == "wait"
    assert house.canaries.get(canary.id).outcome is None
    standing = house.canaries.decide(canary.id, at=now() + timedelta(hours=2))
    assert (standing.decision, house.canaries.get(canary.id).outcome) == ("keep", "ended")
    assert "the old version stays" in standing.said
    assert house.registry.resolve("chat").id == A
    lenient = house.canaries.start("chat", B, share=0.5, rules=CanaryRules(margin=0.5))
    assert house.until_decided(lenient, liked=lambda _: 0.7).decision == "promote"


def test_a_paused_canary_answers_nobody_and_neither_learns_nor_ages(house: House) -> None:
    canary = house.canaries.start("chat", B, share=0.5, rules=CanaryRules(longest_hours=2))
    house.use(30, lambda _: 0.7)
    before = house.canaries.look(canary.id)
    house.canaries.pause(canary.id)
    house.canaries.pause(canary.id)  # once more is no change
    begun = now()
    assert house.canaries.get(canary.id).paused
    assert {house.registry.resolve("chat", conversation=f"c{at}").id for at in range(50)} == {A}
    house.use(30, lambda _: 0.0)
    later = house.canaries.decide(canary.id, at=now() + timedelta(hours=3))
    assert (later.decision, later.said) == ("wait", PAUSED)
    assert (later.a.answers, later.b.answers) == (before.a.answers, before.b.answers)
    house.canaries.resume(canary.id)
    house.canaries.resume(canary.id)
    assert {house.registry.resolve("chat", conversation=f"c{at}").id for at in range(50)} == {A, B}
    over = canary.started_at + timedelta(hours=2)
    assert house.canaries.look(canary.id, at=over).decision == "wait"  # it was paused for a moment of these two hours
    assert house.canaries.look(canary.id, at=over + (now() - begun)).decision == "keep"
    house.canaries.pause(canary.id)
    house.canaries.roll_back(canary.id, "enough")
    house.canaries.resume(canary.id)
    alias = house.registry.alias("chat")
    assert alias is not None
    assert (alias.version_id, alias.canary_version_id, alias.canary_share) == (A, None, 0.0)
    assert not house.canaries.get(canary.id).paused


def test_few_voices_promote_nothing_however_good(house: House) -> None:
    canary = house.canaries.start("chat", B, share=0.5, rules=CanaryRules(margin=1, least=20))
    house.use(20, lambda _: 1.0)
    standing = house.canaries.look(canary.id)
    assert standing.low > -1
    assert standing.decision == "wait"


def test_a_canary_whose_answers_fail_goes_back_though_nobody_says_a_word(house: House) -> None:
    canary = house.canaries.start("chat", B, share=0.5, rules=CanaryRules(alpha=0.01))
    house.use(160, lambda _: 1.0, fails=lambda version: 0.4 if version == B else 0.0, rated=0.0)
    standing = house.canaries.decide(canary.id)
    assert standing.decision == "roll_back"
    assert standing.b.failed > 10
    assert standing.a.failed == 0


def test_a_canary_that_makes_people_wait_goes_back(house: House) -> None:
    def usage(version: str) -> Usage:
        return Usage(
            prompt_tokens=10,
            cached_tokens=0,
            completion_tokens=20,
            first_token_ms=(900 if version == B else 300) + house.random.uniform(-50, 50),
            duration_ms=2000,
            tokens_per_second=20,
        )

    canary = house.canaries.start("chat", B, share=0.5)
    house.use(80, lambda _: 1.0, usage=usage, rated=0.0)
    standing = house.canaries.decide(canary.id)
    assert standing.decision == "roll_back"
    assert "take more than 1.5 times as long to begin" in standing.said
    assert standing.a.first_token_ms is not None
    assert standing.a.first_token_ms < 400
    assert standing.a.tokens_per_second == 20


def test_only_answers_of_the_version_that_a_conversation_was_drawn_for_count(house: House) -> None:
    canary = house.canaries.start("chat", B, share=0.5)
    for at in range(30):
        made = house.conversations.create(ME.user_id, model="chat")
        drawn = goes_to_canary(canary.id, 0.5, made.id)
        chosen = (A if drawn else B) if at % 2 else (B if drawn else A)  # every second one by hand
        _, answer = house.conversations.ask(
            ME.user_id, made.id, parent_id=None, content="?", model="chat", version=chosen
        )
        house.drafts.save({}, {answer.id: Ending(status="complete", content="yes")})
        house.feedback.give(ME, answer.id, Said(rating=1))
    standing = house.canaries.look(canary.id)
    assert standing.a.answers + standing.b.answers == 15
    assert standing.a.judged + standing.b.judged == 15


def test_several_answers_of_one_conversation_are_one_voice(house: House) -> None:
    canary = house.canaries.start("chat", B, share=0.5)
    made = house.conversations.create(ME.user_id, model="chat")
    version = house.registry.resolve("chat", conversation=made.id).id
    parent = None
    for rating in (1, -1, -1, None):
        _, answer = house.conversations.ask(
            ME.user_id, made.id, parent_id=parent, content="?", model="chat", version=version
        )
        house.drafts.save({}, {answer.id: Ending(status="complete", content="yes")})
        if rating is not None:
            house.feedback.give(ME, answer.id, Said(rating=rating))
        else:
            house.feedback.signal(ME, answer.id, "copied")
        parent = answer.id
    standing = house.canaries.look(canary.id)
    arm = standing.b if version == B else standing.a
    assert (arm.answers, arm.judged, arm.conversations, arm.score) == (4, 4, 1, 0.5)


def test_three_questions_in_a_row_that_it_can_not_answer_end_it(house: House) -> None:
    canary = house.canaries.start("chat", B)
    house.canaries.stepped_in(canary.id, "no memory")
    house.canaries.stepped_in(canary.id, "no memory")
    house.canaries.answered(canary.id)
    house.canaries.stepped_in(canary.id, "no memory")
    assert house.canaries.get(canary.id).outcome is None
    house.canaries.stepped_in(canary.id, "no memory")
    house.canaries.stepped_in(canary.id, "no memory")
    ended = house.canaries.get(canary.id)
    assert ended.outcome == "rolled_back"
    assert ended.reason == "The new version could not answer 3 times in a row: no memory"
    house.canaries.stepped_in(canary.id, "late")  # a question that was under way: nothing happens


def test_a_canary_that_can_not_be_is_refused(house: House, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no canary"):
        house.canaries.look("can_nope")
    house.canaries.start("chat", B)
    with pytest.raises(Conflict, match="has a canary already"):
        house.canaries.start("chat", B)
    house.registry.register(
        NewModel(name="vectors", title="Vectors"),
        NewVersion(
            id="v_000000000e0e", source="file:e", engine="embedder", format="none", licence="MIT", context_length=8
        ),
    )
    house.registry.set_alias("embed", "vectors")
    with pytest.raises(InvalidRequest, match="vectors do not mix"):
        house.canaries.start("embed", B)
    alone = Registry(house.database, Settings.model_validate({"home": tmp_path, "max_engines": 1}))
    for version_id in ("v_0000000000f1", "v_0000000000f2"):
        alone.register(
            NewModel(name="files", title="Files"),
            NewVersion(
                id=version_id,
                source="file:f",
                engine="openvino",
                format="openvino",
                licence="MIT",
                context_length=8,
                folder=f"models/{version_id}",
            ),
        )
    alone.set_alias("one-at-a-time", "v_0000000000f1")
    with pytest.raises(InvalidRequest, match="RIXIN_MAX_ENGINES"):
        Canaries(house.database, alone).start("one-at-a-time", "v_0000000000f2")


def test_of_many_who_decide_at_once_one_does(house: House) -> None:
    canary = house.canaries.start("chat", B, share=0.5)
    with ThreadPoolExecutor(8) as pool:
        ways = [house.canaries.promote, house.canaries.roll_back] * 4
        done = list(pool.map(lambda way: way(canary.id, "at once"), ways))
    assert done.count(True) == 1
    promoted = house.canaries.get(canary.id).outcome == "promoted"
    assert house.registry.resolve("chat", conversation="any").id == (B if promoted else A)
    assert len(house.registry.moves("chat")) == 1 + promoted


KILLED = """
import os, signal, sys
from pathlib import Path
from rixin.models import Registry
from rixin.models import registry as place
from rixin.renewal import Canaries
from rixin.settings import Settings
from rixin.store import Database

home, moment = Path(sys.argv[1]), sys.argv[2]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
with Database.open(home / "rixin.db") as database:
    registry = Registry(database, Settings.model_validate({"home": home}))
    canaries = Canaries(database, registry)
    if moment == "decided":
        registry.end_canary = die
    else:
        place.point = die  # the canary has ended in the transaction, the alias has not moved
    canaries.decide_all()
"""


@pytest.mark.parametrize("moment", ["decided", "in the transaction"])
def test_a_kill_between_the_decision_and_the_move_leaves_what_was(tmp_path: Path, moment: str) -> None:
    with Database.open(tmp_path / "rixin.db") as database:
        house = House(database, tmp_path)
        house.set_up()
        canary = house.canaries.start("chat", B, share=0.5)
        house.use(200, lambda version: 0.95 if version == B else 0.5)
        assert house.canaries.look(canary.id).decision == "promote"
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), moment], timeout=120, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert house.canaries.get(canary.id).outcome is None
        assert (house.registry.resolve("chat").id, len(house.registry.moves("chat"))) == (A, 1)
        assert {house.registry.resolve("chat", conversation=f"c{at}").id for at in range(50)} == {A, B}
        [standing] = house.canaries.decide_all()
        assert standing.decision == "promote"
        assert house.registry.resolve("chat").id == B
