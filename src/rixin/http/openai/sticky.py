"""Which requests of the API are one conversation: nothing says so, and a canary must not change in its middle."""

import hashlib
from collections.abc import Sequence

from rixin.assistants import ChatRequest
from rixin.engines import Message
from rixin.gateway import Principal


def conversation_of(body: ChatRequest, messages: Sequence[Message], who: Principal) -> str:
    """The end user where the request names one; else all that begins with the same question of the same account.

    Names are the account's own: another account's `user` of the same name is another person.
    """
    if named := body.user or body.safety_identifier or body.prompt_cache_key:
        return f"{who.user_id} named {named}"
    first = next((turn.content for turn in messages if turn.role == "user"), "")
    return f"{who.user_id} {hashlib.sha256(first.encode('utf-8', 'surrogatepass')).hexdigest()}"
