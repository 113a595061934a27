"""Commands over HTTP: link, unlink, release. Each is published, applied where it is consumed, and answered with a token."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from services.journey import asked
from services.journey.api import PERSON, Identity
from services.journey.commands import Commands, Published
from services.journey.desk import Desk
from services.shared.errors import Rejected
from services.shared.http import Timeout, json_answer, wait_s


def _plain(text: str) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("text is any valid Unicode but NUL")
    return text


_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_plain)]
By = Annotated[_Text, Field(max_length=200, description="who decided it; it stands in the audit log")]
Reason = Annotated[_Text, Field(max_length=2000, description="why, for whoever asks later")]


class Decision(BaseModel):
    """What every command says of itself."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason
    by: By


class PairDecision(Decision):
    """A link or an unlink."""

    identities: Annotated[
        list[_Text],
        Field(
            min_length=2, max_length=2, description="two different ones, as namespace:value; orders and cases as order:SYSTEM/ID"
        ),
    ]


class CommandAnswer(BaseModel):
    """A command as it was recorded."""

    id: str = Field(description="UUIDv7")
    action: str
    identities: list[str] = Field(description="in their normal form")
    by: str
    at: str
    reason: str


class CommandedAnswer(BaseModel):
    command: CommandAnswer
    token: str = Field(description="send it as X-Waypost-After to read what the command changed")


class PathTouchpoint(BaseModel):
    source: str
    id: str


class PathCommand(BaseModel):
    id: str
    by: str


class PathStep(BaseModel):
    from_: str = Field(alias="from")
    to: str
    by: str = Field(description="link, or sighting: seen together in the touchpoint")
    touchpoint: PathTouchpoint | None = None
    command: PathCommand | None = None


class UnlinkAnswer(CommandedAnswer):
    parted: bool | None = Field(
        description="whether the two are different people now; null: it was not applied in time, ask again later"
    )
    path: list[PathStep] | None = Field(description="by what the two are still one person, from the first to the second")


def router(desk: Desk, commands: Commands) -> APIRouter:
    """The routes of commands. They are for admins (see `services.shared.http.guard`)."""
    routes = APIRouter(tags=["journey"])

    @routes.post(
        "/v1/identities/link", summary="Make two identities stand for one", status_code=202, response_model=CommandedAnswer
    )
    def link(decision: PairDecision) -> Response:
        """Touchpoints of both belong to one person from now on, whatever their time, until an unlink of the two. Linking again does
        no harm."""
        return _answer(commands.publish("link", _pair(decision, desk), decision.by, decision.reason))

    @routes.post("/v1/identities/unlink", summary="Part two identities", status_code=202, response_model=UnlinkAnswer)
    def unlink(decision: PairDecision, timeout: Timeout = None) -> Response:
        """Takes the link of the two away, and what being seen together proved of them. A later link restores what was before.

        Waits until it is applied, and says whether the two are still one person through others."""
        seconds, (one, other) = wait_s(timeout), _pair(decision, desk)
        published = commands.publish("unlink", [one, other], decision.by, decision.reason)
        if not desk.is_passed(published.token, seconds):
            return _answer(published, {"parted": None, "path": None})
        with desk.question() as questions:
            path = questions.path(one, other, desk.clock())
        return _answer(published, {"parted": path is None, "path": path})

    @routes.post(
        PERSON + "/release", summary="Count a suspected bot as a person again", status_code=202, response_model=CommandedAnswer
    )
    def release(identity: Identity, decision: Decision) -> Response:
        wanted = asked.wanted(identity, desk.normal)
        with desk.question() as questions:
            name = questions.name_of(wanted, desk.clock())
        return _answer(commands.publish("release", [name], decision.by, decision.reason))

    return routes


def _pair(decision: PairDecision, desk: Desk) -> list[str]:
    """The two identities in their normal form. Raises Rejected."""
    one, other = (desk.normal.name(text, f"/identities/{index}") for index, text in enumerate(decision.identities))
    if one == other:
        raise Rejected(
            "same_identity", "these two are one identity once they are normalised; name two different ones", "/identities"
        )
    return [one, other]


def _answer(published: Published, beside: Mapping[str, Any] = MappingProxyType({})) -> Response:
    return json_answer({**published._asdict(), **beside}, 202)
