"""OpenAI's own client uploads data, starts a training, watches it and asks what came of it."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from served import Served, serve_home
from tiny_runs import make_tiny_home, wait_until, write_chats


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("tuned") / "home"
    make_tiny_home(home, tmp_path_factory.mktemp("tiny_model"))
    with serve_home(home, max_file_bytes=100_000) as running:
        yield running


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chats(tmp_path_factory.mktemp("chats") / "chats.jsonl", rows=30)


def other_client(served: Served) -> openai.OpenAI:
    """A member's, who is no administrator."""
    accounts = served.workspace.accounts
    names = {user.name: user for user in accounts.users()}
    person = names.get("eve") or accounts.create_user("eve", "correct horse battery", "member")
    secret = served.workspace.keys.create(person.id, "tests").secret
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key=secret, max_retries=0)
    served.clients.append(client)
    return client


def until(client: openai.OpenAI, job: str, *statuses: str) -> FineTuningJob:
    def look() -> FineTuningJob | None:
        found = client.fine_tuning.jobs.retrieve(job)
        return found if found.status in statuses else None

    return wait_until(look, timeout_s=200)


def test_a_file_becomes_a_model_that_can_be_asked(served: Served, chats: Path) -> None:
    client = served.client()
    with chats.open("rb") as rows:
        file = client.files.create(file=rows, purpose="fine-tune")
    assert (file.object, file.bytes, file.filename) == ("file", chats.stat().st_size, "chats.jsonl")
    job = client.fine_tuning.jobs.create(
        model="tiny",
        training_file=file.id,
        suffix="Sums!",
        seed=7,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1, "batch_size": "auto"}}},
        metadata={"for": "tests"},
    )
    assert job.status in ("validating_files", "queued", "running")
    assert (job.object, job.model, job.training_file, job.seed) == ("fine_tuning.job", "tiny", file.id, 7)
    done = until(client, job.id, "succeeded", "failed")
    assert done.status == "succeeded", done.error
    assert done.metadata == {"for": "tests"}
    assert done.trained_tokens
    assert done.fine_tuned_model
    assert served.workspace.models.resolve("tiny-sums").id == done.fine_tuned_model
    answer = client.chat.completions.create(
        model=done.fine_tuned_model, messages=[{"role": "user", "content": "1 + 1?"}], max_tokens=4
    )
    assert answer.choices[0].finish_reason in ("length", "stop")
    [result] = done.result_files
    table = client.files.content(result).text.splitlines()
    assert table[0].startswith("step,train_loss,valid_loss,")
    assert len(table) > 1
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=3))
    assert events[0].message.endswith("finished")
    assert events[-1].message.endswith("started")
    assert {event.type for event in events} == {"message", "metrics"}
    checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert checkpoints[0].fine_tuned_model_checkpoint == done.fine_tuned_model
    assert next(iter(client.fine_tuning.jobs.list(limit=1))).id == job.id


def test_a_job_is_paused_resumed_and_cancelled(served: Served, chats: Path) -> None:
    client = served.client()
    with chats.open("rb") as rows:
        file = client.files.create(file=rows, purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model="tiny",
        training_file=file.id,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 5000}}},
    )
    until(client, job.id, "running")
    client.fine_tuning.jobs.pause(job.id)
    until(client, job.id, "paused")
    assert client.fine_tuning.jobs.resume(job.id).status == "queued"
    client.fine_tuning.jobs.cancel(job.id)
    until(client, job.id, "cancelled")
    with pytest.raises(openai.ConflictError, match="cancelled already"):
        client.fine_tuning.jobs.cancel(job.id)


def test_rows_that_cannot_be_used_fail_the_job_and_say_which(served: Served) -> None:
    client = served.client()
    file = client.files.create(file=("bad.jsonl", io.BytesIO(b'{"messages": "no"}\n')), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="tiny", training_file=file.id)
    failed = until(client, job.id, "failed")
    assert failed.error is not None
    assert failed.error.code == "MalformedData"
    assert ":1" in failed.error.message


def test_what_is_not_served_is_refused_by_name(served: Served, chats: Path) -> None:
    client = served.client()
    file = client.files.create(file=("chats.jsonl", chats.read_bytes()), purpose="fine-tune")
    jobs = client.fine_tuning.jobs
    with pytest.raises(openai.BadRequestError, match="Integrations are not served") as refused:
        jobs.create(model="tiny", training_file=file.id, integrations=[{"type": "wandb", "wandb": {"project": "x"}}])
    assert refused.value.param == "integrations"
    with pytest.raises(openai.NotFoundError, match="no model 'nobody'"):
        jobs.create(model="nobody", training_file=file.id)
    with pytest.raises(openai.NotFoundError, match="no file") as missing:
        jobs.create(model="tiny", training_file="file-0")
    assert missing.value.param == "training_file"
    with pytest.raises(openai.BadRequestError, match="has no beta"):
        jobs.create(
            model="tiny",
            training_file=file.id,
            method={"type": "supervised", "supervised": {"hyperparameters": {"beta": 0.1}}},  # type: ignore[typeddict-unknown-key]
        )
    with pytest.raises(openai.BadRequestError, match="purpose 'vision' is not served"):
        client.files.create(file=("a.jsonl", b"x"), purpose="vision")


def test_a_key_sees_its_own_files_and_jobs_and_an_administrator_all(served: Served, chats: Path) -> None:
    admin, eve = served.client(), other_client(served)
    hers = eve.files.create(file=("hers.jsonl", chats.read_bytes()), purpose="fine-tune")
    his = admin.files.create(file=("his.jsonl", chats.read_bytes()), purpose="fine-tune")
    assert [file.id for file in eve.files.list()] == [hers.id]
    assert {hers.id, his.id} <= {file.id for file in admin.files.list()}
    for file_id in (his.id, "file-unknown"):
        with pytest.raises(openai.NotFoundError):
            eve.files.retrieve(file_id)
        with pytest.raises(openai.NotFoundError):
            eve.files.delete(file_id)
        with pytest.raises(openai.NotFoundError):
            eve.fine_tuning.jobs.create(model="tiny", training_file=file_id)
    job = admin.fine_tuning.jobs.create(model="tiny", training_file=his.id)
    with pytest.raises(openai.NotFoundError):
        eve.fine_tuning.jobs.retrieve(job.id)
    assert list(eve.fine_tuning.jobs.list()) == []
    admin.fine_tuning.jobs.cancel(job.id)
    assert eve.files.delete(hers.id).deleted
    with pytest.raises(openai.NotFoundError):
        eve.files.retrieve(hers.id)


def test_a_file_that_is_too_large_or_broken_off_leaves_nothing(served: Served) -> None:
    folder = served.workspace.settings.home / "files"
    before = set(folder.iterdir())
    client = served.client()
    with pytest.raises(openai.APIStatusError) as refused:
        client.files.create(file=("big.jsonl", b"x" * 100_001), purpose="fine-tune")
    assert refused.value.status_code == 413
    with served.program() as program:
        for content_type, body, said in (
            ("multipart/form-data; boundary=b", b'--b\r\ncontent-disposition: form-data; name="file"', "complete"),
            ("multipart/form-data; boundary=b", b"nonsense", "can't be read"),
            ("application/json", b"{}", "multipart/form-data"),
        ):
            answer = program.post("/v1/files", content=body, headers={"content-type": content_type})
            assert answer.status_code in (400, 415), answer.text
            assert said in json.loads(answer.text)["error"]["message"]
    assert set(folder.iterdir()) == before
