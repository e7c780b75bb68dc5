"""What a person or a program talks to: requests composed into what engines understand."""

from rixin.assistants.compose import compose_chat, sampling
from rixin.assistants.requests import ChatRequest, GenerationFields

__all__ = ["ChatRequest", "GenerationFields", "compose_chat", "sampling"]
