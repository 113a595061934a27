"""Settings: one frozen object, read once from `WAYPOST_…` variables and the command line.

An unknown or malformed variable stops the start with a sentence that names it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.opening import week_of
from services.shared.errors import Misconfigured

PREFIX = "WAYPOST_"
TEST_VARIABLES = frozenset({"WAYPOST_TEST_KAFKA", "WAYPOST_TEST_POSTGRES"})


class Settings(BaseSettings):
    """Everything that can be set. Embedded unless `bus` names a Kafka and `database` a PostgreSQL."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    data: Path = Field(Path("waypost-data"), description="folder of the embedded bus, the SQLite files and the first write key")
    bus: str = Field("embedded", description="`embedded`, or the bootstrap servers of a Kafka: `kafka://host:9092,host2:9092`")
    database: str = Field(
        "embedded",
        description="`embedded`, or a PostgreSQL: `postgresql://user:password@host/name`; each room has a schema in it",
    )
    host: str = Field("127.0.0.1", description="address to listen on; anything but loopback needs tokens")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="port to listen on; 0 takes a free one")
    partitions: Annotated[int, Field(ge=1, le=1000)] = Field(
        12, description="partitions of every topic when it is created; fixed for the life of an installation"
    )
    replication: Annotated[int, Field(ge=1, le=9)] = Field(1, description="replicas of every Kafka topic when it is created")
    retention_days: Annotated[int, Field(ge=1)] = Field(
        30, description="how long the bus keeps touchpoints, commands and rejected records, in days"
    )
    rejected_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        30, description="how long ingest keeps rejected records to be listed and replayed, in days"
    )
    kafka_security: dict[str, str] = Field(
        {}, description='kafka-python\'s SASL and TLS settings as JSON, such as {"security_protocol": "SASL_SSL", …}'
    )
    time_zone: str = Field("UTC", description="time zone of days, weeks and months, such as Europe/Berlin")
    opening_hours: str = Field(
        "",
        description="when service is open, by that zone's clock, such as `mon-fri 09:00-17:00, sat 10:00-14:00`; empty: always",
    )
    journey_timeout_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        90, description="a journey is over when the customer has been silent for longer than this, in days"
    )
    attribution_lookback_days: Annotated[int, Field(ge=1, le=365)] = Field(
        30, description="how long before an order a marketing touch may lie to be on its path, in days"
    )
    active_by: Literal["order", "touchpoint"] = Field(
        "order", description="what makes a person active where retention is asked for: an `order`, or any customer `touchpoint`"
    )
    active_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        0, description="who did so this many days before a moment is active at it; 0: as many as the period has"
    )
    shared_handle_customers: Annotated[int, Field(ge=1)] = Field(
        100, description="a handle seen with more customers than this identifies nobody"
    )
    bot_touchpoints: Annotated[int, Field(ge=1)] = Field(
        50_000, description="a person with more touchpoints is set aside as a suspected bot"
    )
    phone_region: Annotated[str, Field(pattern=r"^([A-Z]{2})?$")] = Field(
        "", description="region of phone numbers without a country code, such as DE; empty: such numbers stay as they are"
    )
    nobody: tuple[str, ...] = Field(
        (), description='further identities that stand for nobody, as JSON, such as ["email:info@shop.example"]'
    )
    personal_data: dict[str, dict[str, Literal["drop", "hash"]]] = Field(
        {},
        description="fields that ingest drops or hashes before anything else sees them, by source (`*`: every one), as JSON, such as "
        '{"shop": {"identities.email": "hash", "properties.cards.*.number": "drop"}}',
    )
    personal_data_key: str = Field("", description="key of these hashes, 16 characters or more; another key gives other hashes")
    cost_per_handled_minute: Annotated[str, Field(pattern=r"^([0-9]{1,9}(\.[0-9]{1,6})? [A-Z]{3})?$")] = Field(
        "", description="what a handled minute of a service contact costs, such as `0.85 EUR`, for the KPI cost_per_contact"
    )
    vocabulary: Path | None = Field(None, description="a file that extends or overrides the vocabulary")
    channels: Path | None = Field(None, description="a file whose marketing-channel rules come before the built-in ones")
    write_keys: str = Field(
        "",
        description="`source=key` pairs joined by commas, in place of the first key that embedded makes; "
        "`source:trusted=key` where its aliases may join customers",
    )
    read_tokens: str = Field(
        "", description="tokens for the journey and metrics APIs, joined by commas; needed unless on loopback"
    )
    admin_tokens: str = Field(
        "", description="tokens for commands and administration, joined by commas; needed unless on loopback"
    )
    allowed_hosts: str = Field("", description="further Host headers that read and admin endpoints answer to, joined by commas")
    check_every_s: Annotated[float, Field(ge=0)] = Field(
        60.0,
        description="how often a small sample is checked in the background, in seconds (at most 1 % of one CPU); 0: never",
    )
    log: Literal["info", "warning", "error"] = Field("info", description="what is logged: one JSON line an event")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"there is no time zone {name!r}; use a name such as Europe/Berlin") from None
        return name

    @field_validator("opening_hours")
    @classmethod
    def _known_hours(cls, text: str) -> str:
        week_of(text)
        return text

    @property
    def embedded_bus(self) -> bool:
        return self.bus == "embedded"

    @property
    def embedded_database(self) -> bool:
        return self.database == "embedded"


def load(**overrides: object) -> Settings:
    """The settings of this process: `overrides` (the command line; None means not given), then the environment, then defaults.

    Raises Misconfigured, naming every variable that is unknown or malformed.
    """
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | TEST_VARIABLES
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise Misconfigured(f"unknown setting {', '.join(unknown)}; the README lists the settings there are")
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        sentences = (f"{PREFIX}{'_'.join(map(str, part['loc'])).upper()}: {part['msg']}" for part in error.errors())
        raise Misconfigured("; ".join(sentences)) from None


def table() -> str:
    """All settings as the README shows them."""
    rows = ["| variable | default | what it is |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "", (), {}) else f"`{field.default}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
