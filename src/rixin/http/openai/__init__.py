"""The OpenAI-compatible routes."""

from fastapi import APIRouter

from rixin.http.openai import chat, completions, embeddings, files, fine_tuning, models, stored

openai_router = APIRouter(tags=["openai"])
for part in (models, chat, stored, completions, embeddings, files, fine_tuning):
    openai_router.include_router(part.router)

__all__ = ["openai_router"]
