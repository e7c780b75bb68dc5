"""What annotators are shown of an example, and the example that their answer makes of it."""

import json

from rixin.data.annotation.definition import Definition
from rixin.data.annotation.values import Value, class_of
from rixin.data.examples import AnyExample, ChatExample, LabelledExample, TaskExample, TextExample, Turn


def content_of(example: AnyExample, definition: Definition) -> str:
    """The text that is annotated. Of a conversation that is to be answered, the answer it has is left out."""
    if isinstance(example, TextExample):
        return example.text
    turns = _turns(example, definition)
    if len(turns) == 1:
        return turns[0].content
    return "\n\n".join(f"{turn.role}: {turn.content}" for turn in turns)


def known_value(example: AnyExample, definition: Definition) -> object:
    """What a task example has as its answer, as a value that is yet to be checked; None where it has none."""
    if not isinstance(example, TaskExample) or example.answer is None:
        return None
    if definition.kind == "classify":
        return {"label": example.answer}
    if definition.kind in ("rewrite", "answer"):
        return {"text": example.answer}
    try:
        found: object = json.loads(example.answer)
    except ValueError:
        return None
    if isinstance(found, dict):
        return found
    return {"rating": found} if definition.kind == "rate" else {"labels": found}


def annotated(example: AnyExample, definition: Definition, value: Value) -> ChatExample:
    """What a model can learn from the row now: a text that was asked for is the answer in its conversation.

    Of the other kinds the instructions are the system's turn and the row the user's; the answer is a class alone, or
    JSON.
    """
    if definition.kind in ("rewrite", "answer"):
        if isinstance(example, TextExample):
            system = Turn(role="system", content=definition.instructions)
            asked: tuple[Turn, ...] = (system, Turn(role="user", content=example.text))
        else:
            asked = _turns(example, definition, answered=False)
        return ChatExample(messages=(*asked, Turn(role="assistant", content=str(value["text"]))))
    answer = class_of(value) if definition.classes else json.dumps(value, ensure_ascii=False)
    return ChatExample(
        messages=(
            Turn(role="system", content=definition.instructions),
            Turn(role="user", content=content_of(example, definition)),
            Turn(role="assistant", content=answer),
        )
    )


def _turns(example: AnyExample, definition: Definition, *, answered: bool | None = None) -> tuple[Turn, ...]:
    """Its turns; without an answer at their end where one is to be made."""
    assert not isinstance(example, TextExample), "a text has no turns"
    if isinstance(example, ChatExample):
        turns = example.messages
    elif isinstance(example, TaskExample):
        turns = example.prompt
    elif isinstance(example, LabelledExample):
        turns = (*example.prompt, *example.completion)
    else:
        turns = (*example.prompt, *example.chosen)
    keep = definition.kind != "answer" if answered is None else answered
    end = len(turns)
    while not keep and end > 1 and turns[end - 1].role == "assistant":
        end -= 1
    return turns[:end]
