"""Names under which foreign tools are offered: what models and the OpenAI API know, unique, and told whose they are."""

import re

from rixin.assistants.tools.fence import neutral

MAX_NAME = 64
MAX_DESCRIPTION = 1024
MAX_PARAMETERS = 16 << 10


def tool_name(owner: str, own: str, taken: set[str]) -> str:
    """`owner__own`, of letters, digits, `_` and `-`; a number behind it where that is `taken`, which it joins."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "_", f"{owner}__{own}")[:MAX_NAME]
    name, number = base, 2
    while name in taken:
        name = f"{base[: MAX_NAME - len(str(number)) - 1]}_{number}"
        number += 1
    taken.add(name)
    return name


def tool_description(text: str) -> str:
    """What a stranger says of a tool, in one piece of bounded length, without marks of power."""
    return " ".join(neutral(text).split())[:MAX_DESCRIPTION]
