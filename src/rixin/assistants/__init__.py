"""What a person or a program talks to: requests composed into what engines understand."""

from rixin.assistants.answers import AnswerEvent, Answers, Done, Snapshot, TextDelta
from rixin.assistants.compose import TEMPERATURE, TOP_P, compose_chat, compose_thread, sampling
from rixin.assistants.conversations import Conversations
from rixin.assistants.messages import Conversation, ConversationPage, Message, MessageError, Usage
from rixin.assistants.requests import ChatRequest, GenerationFields

__all__ = [
    "TEMPERATURE",
    "TOP_P",
    "AnswerEvent",
    "Answers",
    "ChatRequest",
    "Conversation",
    "ConversationPage",
    "Conversations",
    "Done",
    "GenerationFields",
    "Message",
    "MessageError",
    "Snapshot",
    "TextDelta",
    "Usage",
    "compose_chat",
    "compose_thread",
    "sampling",
]
