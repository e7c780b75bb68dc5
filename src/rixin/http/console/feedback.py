"""Feedback on answers: given, changed, seen and withdrawn, by people and by their programs."""

from typing import Annotated, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from rixin.errors import PermissionDenied
from rixin.gateway import Principal
from rixin.http.body import JsonBody
from rixin.http.console.feedback_wire import (
    FeedbackBody,
    FeedbackList,
    FeedbackSummary,
    PreferenceBody,
    SignalBody,
    TrainingConsentBody,
)
from rixin.http.describe import describe
from rixin.http.identity import Visitor, program, visitor, workspace
from rixin.http.reply import json_answer
from rixin.renewal import Feedback, FeedbackPage, Rating, Said, TrainingConsent, Withdrawn
from rixin.workspace import Workspace

router = APIRouter(tags=["feedback"])
FEEDBACK = JsonBody(FeedbackBody)
PREFERENCE = JsonBody(PreferenceBody)
SIGNAL = JsonBody(SignalBody)
CONSENT = JsonBody(TrainingConsentBody)

House = Annotated[Workspace, Depends(workspace)]
Who = Annotated[Principal, Depends(program)]
Person = Annotated[Visitor, Depends(visitor)]


@router.post(
    "/api/feedback",
    summary="Rate, correct or comment an answer of one's own; 204 where nothing of it is left",
    openapi_extra=describe(body=FeedbackBody, answer=Feedback),
)
async def give_feedback(request: Request, who: Who, house: House) -> Response:
    body = await FEEDBACK.read_strictly(request)
    said = Said(
        rating=body.rating,
        reasons=None if body.reasons is None else tuple(body.reasons),
        correction=body.correction,
        comment=body.comment,
    )
    kept = await run_sync(house.feedback.give, who, body.message_id, said)
    return Response(status_code=204) if kept is None else json_answer(kept)


@router.post(
    "/api/feedback/preference",
    summary="Say which of two answers to one question is the better one",
    openapi_extra=describe(body=PreferenceBody, answer=Feedback),
)
async def give_preference(request: Request, who: Who, house: House) -> Response:
    body = await PREFERENCE.read_strictly(request)
    return json_answer(
        await run_sync(
            lambda: house.feedback.prefer(
                who, body.message_id, body.other_message_id, body.preferred, comment=body.comment
            )
        )
    )


@router.post(
    "/api/feedback/signal",
    status_code=204,
    summary="Count something that was done with an answer",
    openapi_extra=describe(body=SignalBody, status=204),
)
async def give_signal(request: Request, who: Who, house: House) -> Response:
    body = await SIGNAL.read_strictly(request)
    await run_sync(house.feedback.signal, who, body.message_id, body.signal)
    return Response(status_code=204)


@router.get(
    "/api/conversations/{conversation_id}/feedback",
    summary="One's own feedback on the answers of a conversation",
    openapi_extra=describe(answer=FeedbackList),
)
async def conversation_feedback(conversation_id: str, who: Who, house: House) -> Response:
    return json_answer(FeedbackList(data=await run_sync(house.feedback.of_conversation, who, conversation_id)))


@router.get(
    "/api/feedback",
    summary="Feedback, the latest changed first: one's own, or as an administrator everybody's",
    openapi_extra=describe(answer=FeedbackPage),
)
async def list_feedback(
    who: Who,
    house: House,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 30,
    rating: Literal["1", "-1"] | None = None,
    mine: bool = False,
) -> Response:
    wanted: dict[str | None, Rating] = {"1": 1, "-1": -1}
    page = await run_sync(
        lambda: house.feedback.page(who, cursor=cursor, limit=limit, rating=wanted.get(rating), mine=mine)
    )
    return json_answer(page)


@router.get(
    "/api/feedback/summary",
    summary="What was said about each version's answers, for administrators",
    openapi_extra=describe(answer=FeedbackSummary),
)
async def feedback_summary(who: Who, house: House) -> Response:
    if who.role != "admin":
        raise PermissionDenied("Only an administrator may do this.")
    return json_answer(FeedbackSummary(versions=await run_sync(house.feedback.summary)))


@router.get(
    "/api/feedback/consent",
    summary="Whether one's feedback may be learned from",
    openapi_extra=describe(answer=TrainingConsent),
)
async def training_consent(person: Person, house: House) -> Response:
    return json_answer(await run_sync(house.feedback.consent, person.user.id))


@router.put(
    "/api/feedback/consent",
    summary="Agree that one's feedback is learned from, or refuse; a refusal takes it out of every Dataset",
    openapi_extra=describe(body=TrainingConsentBody, answer=TrainingConsent),
)
async def set_training_consent(request: Request, person: Person, house: House) -> Response:
    body = await CONSENT.read_strictly(request)
    return json_answer(await run_sync(lambda: house.feedback.set_consent(person.user.id, given=body.given)))


@router.post(
    "/api/feedback/withdraw",
    summary="Take back all that one ever said, from every Dataset too",
    openapi_extra=describe(answer=Withdrawn),
)
async def withdraw_all_feedback(person: Person, house: House) -> Response:
    return json_answer(await run_sync(house.feedback.withdraw_all, person.user.id))


@router.delete(
    "/api/feedback/{feedback_id}",
    status_code=204,
    summary="Take back one's feedback, or as an administrator anybody's",
    openapi_extra=describe(status=204),
)
async def withdraw_feedback(feedback_id: str, who: Who, house: House) -> Response:
    await run_sync(house.feedback.withdraw, who, feedback_id)
    return Response(status_code=204)
