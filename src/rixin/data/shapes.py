"""From a row of any known form to an example: which kind it is, and what is wrong with it."""

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from rixin.data.conversation import check_answer, check_prompt, read_tools, read_turns, system_turn, tidy, user_turn
from rixin.data.examples import (
    KINDS,
    AnyExample,
    ChatExample,
    Kind,
    LabelledExample,
    PreferenceExample,
    TaskExample,
    TextExample,
    Turn,
)
from rixin.data.fields import as_json, present, text_in
from rixin.data.problems import Fault

FullRow = Mapping[str, object]

_MESSAGES = ("messages", "conversations", "conversation")
_CHOSEN = ("chosen", "chosen_messages")
_REJECTED = ("rejected", "rejected_messages")
_LABEL = ("label", "kto_tag")
_ANSWERS = ("answer", "solution", "ground_truth", "reference_answer")
_CHECKS = ("regex", "schema", "tests")
_PROMPTS = ("prompt", "instruction", "question", "query")
_COMPLETIONS = ("completion", "response", "output", "answer")
_UNLEARNABLE = ("image", "images", "video", "videos", "audio", "audios")
_HUMAN = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")
_GSM_ANSWER = re.compile(r"####\s*(.+?)\s*$")
FORMS = (
    "Known are: messages, conversations, instruction+output, prompt+completion, question+answer, chosen+rejected, "
    "prompt+completion+label, text, prompt+answer (or schema, regex, tests)"
)


def kind_of(row: object) -> Kind:
    """What kind of example a row is, by its fields. Raises Fault if it is none that is known."""
    if isinstance(row, str):
        return "text"
    if not isinstance(row, Mapping):
        raise Fault(f"The row is {_named(row)}, not an object with fields.", f"{FORMS}.")
    for kind in KINDS:
        if row.get("kind") == kind:
            return kind
    has = {name for name in row if isinstance(name, str) and present(row[name])}
    if has.intersection(_CHOSEN) or has.intersection(_REJECTED):
        return "preference"
    if any(row.get(name) is not None for name in _LABEL) and has.intersection((*_MESSAGES, *_COMPLETIONS)):
        return "labelled"
    if has.intersection(_PROMPTS) and (has.intersection(_CHECKS) or ("prompt" in has and has.intersection(_ANSWERS))):
        return "task"
    if has.intersection(_MESSAGES) or (has.intersection(_PROMPTS) and has.intersection(_COMPLETIONS)):
        return "chat"
    if row.get("text") is not None or isinstance(row.get("paragraphs"), list):
        return "text"
    if has.intersection(_PROMPTS):
        missing = next(name for name in _PROMPTS if name in has)
        raise Fault(f"There is {missing!r} and no answer to it.", "Add `output` (or completion, chosen and rejected).")
    keys = ", ".join(repr(str(key)[:40]) for key in list(row)[:8]) or "none"
    raise Fault(f"The fields ({keys}) are none of the known forms.", f"{FORMS}.")


def example_of(row: object, kind: Kind) -> AnyExample:
    """The example of a row that is known, or said, to be of this kind. Raises Fault naming the field."""
    if isinstance(row, str):
        row = {"text": row}
    if not isinstance(row, Mapping):
        raise Fault(f"The row is {_named(row)}, not an object with fields.", f"{FORMS}.")
    if row.get("kind") in KINDS and row["kind"] != kind:
        raise Fault(f"The row says that it is {row['kind']!r}.", f"Read the file with --kind {row['kind']}.", "kind")
    for name in _UNLEARNABLE:
        if present(row.get(name)):
            raise Fault(f"The row has {name}; only text can be learned.", "Remove the row.", name)
    example = _READERS[kind](row)
    try:
        line = example.line()
    except UnicodeEncodeError:
        raise Fault("A text has half of a surrogate pair, which is no character.", "Write it as UTF-8.") from None
    if b"\\u0000" in line and b"\0" in b"".join(map(str.encode, _strings(msgspec.to_builtins(example)))):
        raise Fault("A text has the character U+0000.", "Remove it.")
    return example


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _strings(item)]
    return [text for item in value for text in _strings(item)] if isinstance(value, Sequence) else []


def _named(value: object) -> str:
    names = {"list": "a list", "int": "a number", "float": "a number", "bool": "true or false", "NoneType": "null"}
    return names.get(type(value).__name__, type(value).__name__)


def _first(row: FullRow, names: Sequence[str]) -> str | None:
    return next((name for name in names if present(row.get(name))), None)


def _chat(row: FullRow) -> ChatExample:
    tools = read_tools(row.get("tools"))
    name = _first(row, _MESSAGES)
    if name is not None:
        turns = tidy(_with_system(row, read_turns(row[name], name)), name)
    else:
        name = _first(row, _COMPLETIONS) or "output"
        if not _first(row, _COMPLETIONS):
            raise Fault("There is no answer to learn.", "Fill `output` (or completion, response, answer).", name)
        question = _question(row, taken=name)
        turns = tidy([*question, *_continuation(row[name], name)], name)
    check_answer(turns, tools, name)
    return ChatExample(messages=turns, tools=tools)


def _question(row: FullRow, taken: str = "") -> list[Turn]:
    """The prompt of a row: messages, or Alpaca's system, history, instruction and input."""
    name = _first(row, [one for one in _PROMPTS if one != taken])
    if name is None:
        raise Fault("There is no prompt.", "Fill `instruction` (or prompt, question).", "instruction")
    listed = as_json(row[name])
    if isinstance(listed, list):
        return list(_with_system(row, read_turns(listed, name)))
    prompt = text_in(row[name], name)
    more = row.get("input")
    if taken != "input" and present(more):
        prompt = f"{prompt}\n{text_in(more, 'input')}"
    return [*system_turn(row.get("system")), *_history(row.get("history")), user_turn(prompt)]


def _history(value: object) -> list[Turn]:
    value = as_json(value)
    if not present(value):
        return []
    fault = Fault(
        "The history is not a list of [question, answer] pairs.", 'Write [["question", "answer"]].', "history"
    )
    if not isinstance(value, list):
        raise fault
    turns: list[Turn] = []
    for number, pair in enumerate(value):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise fault
        question, answer = (text_in(part, f"history[{number}][{at}]") for at, part in enumerate(pair))
        turns += [user_turn(question), Turn(role="assistant", content=answer)]
    return turns


def _with_system(row: FullRow, turns: Sequence[Turn]) -> Sequence[Turn]:
    if turns and turns[0].role == "system":
        return turns
    return [*system_turn(row.get("system")), *turns]


def _continuation(value: object, field: str) -> list[Turn]:
    """An answer: its text, one message, or a list of them."""
    value = as_json(value, only_messages=True)
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, list):
        return list(read_turns(value, field))
    return [Turn(role="assistant", content=text_in(value, field))]


def _preference(row: FullRow) -> PreferenceExample:
    better, worse = _first(row, _CHOSEN), _first(row, _REJECTED)
    if better is None or worse is None:
        missing = "chosen" if better is None else "rejected"
        raise Fault(f"There is no {missing} answer.", f"Fill `{missing}`.", missing)
    tools = read_tools(row.get("tools"))
    name = _first(row, (*_MESSAGES, *_PROMPTS))
    if name is None and all(isinstance(row[one], str) and _HUMAN.match(str(row[one])) for one in (better, worse)):
        chosen, rejected = _transcript(str(row[better]), better), _transcript(str(row[worse]), worse)
    else:
        chosen, rejected = _continuation(row[better], better), _continuation(row[worse], worse)
    if chosen and chosen[0].role != "assistant":  # both are whole conversations
        shared = 0
        while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
            shared += 1
        prompt = list(_with_system(row, chosen[:shared]))
        chosen, rejected = chosen[shared:], rejected[shared:]
    elif name in _MESSAGES:
        prompt = list(_with_system(row, read_turns(row[name], name)))
    else:
        prompt = _question(row)
    turns = tidy(prompt, name or better)
    check_prompt(turns, name or better)
    both = []
    for answer, field in ((chosen, better), (rejected, worse)):
        whole = tidy([*turns, *answer], field)
        check_answer(whole, tools, field)
        both.append(whole[len(turns) :])
        if not both[-1] or both[-1][0].role != "assistant":
            raise Fault("The answer does not begin with an assistant's turn.", "Both must answer one prompt.", field)
    if both[0] == both[1]:
        raise Fault("The chosen and the rejected answer are the same.", "Remove the row.", worse)
    return PreferenceExample(prompt=turns, chosen=both[0], rejected=both[1], tools=tools)


def _transcript(text: str, field: str) -> list[Turn]:
    """HH-RLHF's form: `Human:` and `Assistant:` after blank lines."""
    parts = _HUMAN.split(text)
    if parts[0].strip():
        raise Fault("The transcript does not begin with Human:.", "Begin it with '\\n\\nHuman: '.", field)
    roles = {"Human": "user", "Assistant": "assistant"}
    return [Turn(role=roles[who], content=said.strip()) for who, said in zip(parts[1::2], parts[2::2], strict=True)]


def _labelled(row: FullRow) -> LabelledExample:
    name = next((one for one in _LABEL if row.get(one) is not None), "label")
    label = _label(row.get(name), name)
    whole = _chat({key: value for key, value in row.items() if key != name})
    last = max(at for at, turn in enumerate(whole.messages[:-1], 1) if turn.role == "user")
    return LabelledExample(
        prompt=whole.messages[:last], completion=whole.messages[last:], label=label, tools=whole.tools
    )


def _label(value: object, field: str) -> bool:
    if isinstance(value, str):
        value = value.strip().lower()
    for said, meant in ((True, True), (False, False), ("true", True), ("false", False), ("1", True), ("0", False)):
        if value == said:
            return meant
    raise Fault(f"The label is {str(value)[:40]!r}.", "Write true for a good answer, false for a bad one.", field)


def _text(row: FullRow) -> TextExample:
    text = _poem(row) if "text" not in row and "paragraphs" in row else text_in(row.get("text"), "text")
    if not text.strip():
        raise Fault("The text is empty.", "Remove the row.", "text")
    return TextExample(text=text)


def _poem(row: FullRow) -> str:
    """A work by its title, its author and its lines, as collections of poems have it."""
    lines = row["paragraphs"]
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise Fault("The paragraphs are no list of texts.", "Write one text for each line.", "paragraphs")
    if not any(letter.isalnum() for line in lines for letter in line):
        raise Fault("The paragraphs have no text.", "Remove the row.", "paragraphs")
    head = [text_in(row[name], name) for name in ("title", "rhythmic", "author") if present(row.get(name))]
    return "\n".join([*head, *lines])


def _task(row: FullRow) -> TaskExample:
    name = _first(row, (*_MESSAGES, *_PROMPTS))
    turns = read_turns(row[name], name) if name in _MESSAGES else _question(row)
    prompt = tidy(turns, name or "prompt")
    check_prompt(prompt, name or "prompt")
    answer_field = _first(row, _ANSWERS)
    answer = None
    if answer_field is not None:
        value = row[answer_field]
        answer = str(value) if isinstance(value, int | float) else text_in(value, answer_field).strip()
        if solved := _GSM_ANSWER.search(answer):
            answer = solved[1]
    regex, tests = (text_in(row[one], one) if present(row.get(one)) else None for one in ("regex", "tests"))
    if regex is not None:
        try:
            re.compile(regex)
        except (re.error, OverflowError, RecursionError) as error:
            raise Fault(f"This is no regular expression: {error}.", "Correct it.", "regex") from None
    schema = _schema(row.get("schema")) if present(row.get("schema")) else None
    if answer is None and regex is None and tests is None and schema is None:
        raise Fault("Nothing tells a right answer.", "Add `answer`, `regex`, `schema` or `tests`.", "answer")
    return TaskExample(
        prompt=prompt, answer=answer, regex=regex, schema=schema, tests=tests, tools=read_tools(row.get("tools"))
    )


def _schema(value: object) -> str:
    value = as_json(value)
    if not isinstance(value, Mapping):
        raise Fault("The schema is no JSON Schema.", "Write an object.", "schema")
    return msgspec.json.encode(value).decode()


_READERS: dict[Kind, Callable[[FullRow], AnyExample]] = {
    "chat": _chat,
    "preference": _preference,
    "labelled": _labelled,
    "text": _text,
    "task": _task,
}
