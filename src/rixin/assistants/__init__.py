"""What a person or a program talks to: requests composed into what engines understand."""

from rixin.assistants.acting import Acting
from rixin.assistants.answering import Question, ask
from rixin.assistants.answers import AnswerEvent, Answers, Done, Snapshot, TextDelta
from rixin.assistants.assistant import (
    ASSISTANT_FILE,
    PREFIX,
    Assistant,
    assistant_toml,
    parse_assistant,
    read_assistant,
)
from rixin.assistants.assistants import Assistants, SavedAssistant, Visibility
from rixin.assistants.citations import Annotation
from rixin.assistants.compose import TEMPERATURE, TOP_P, compose_chat, compose_thread, sampling
from rixin.assistants.consents import Consents
from rixin.assistants.conversations import Conversations
from rixin.assistants.given import Given, Recording, given_of, unpack_given
from rixin.assistants.grounded import AskEvent, Grounded, Grounding, Source, Sources, SteppedIn, ToolUse
from rixin.assistants.messages import (
    Conversation,
    ConversationPage,
    Message,
    MessageError,
    Usage,
    cursor_after,
    read_cursor,
)
from rixin.assistants.requests import ChatRequest, GenerationFields
from rixin.assistants.searching import Searcher
from rixin.assistants.storable import storable_document
from rixin.assistants.threads import Threads

__all__ = [
    "ASSISTANT_FILE",
    "PREFIX",
    "TEMPERATURE",
    "TOP_P",
    "Acting",
    "Annotation",
    "AnswerEvent",
    "Answers",
    "AskEvent",
    "Assistant",
    "Assistants",
    "ChatRequest",
    "Consents",
    "Conversation",
    "ConversationPage",
    "Conversations",
    "Done",
    "GenerationFields",
    "Given",
    "Grounded",
    "Grounding",
    "Message",
    "MessageError",
    "Question",
    "Recording",
    "SavedAssistant",
    "Searcher",
    "Snapshot",
    "Source",
    "Sources",
    "SteppedIn",
    "TextDelta",
    "Threads",
    "ToolUse",
    "Usage",
    "Visibility",
    "ask",
    "assistant_toml",
    "compose_chat",
    "compose_thread",
    "cursor_after",
    "given_of",
    "parse_assistant",
    "read_assistant",
    "read_cursor",
    "sampling",
    "storable_document",
    "unpack_given",
]
