"""The routes that the page uses, and the two that a supervisor asks."""

from fastapi import APIRouter

from rixin.http.console import (
    aliases,
    annotation,
    assistants,
    attachments,
    conversations,
    cycles,
    documents,
    feedback,
    health,
    keys,
    libraries,
    models,
    packs,
    session,
    users,
)

console_router = APIRouter()
for part in (
    session,
    users,
    keys,
    models,
    aliases,
    assistants,
    packs,
    libraries,
    documents,
    attachments,
    conversations,
    feedback,
    annotation,
    cycles,
    health,
):
    console_router.include_router(part.router)

__all__ = ["console_router"]
