"""What every Kafka client of ours is opened with, and the one translation of kafka-python's errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka.errors import KafkaConfigurationError, KafkaError, LogTruncationError, OffsetOutOfRangeError

from services.shared.errors import Misconfigured, Misplaced, Unavailable

PUBLISH_TIMEOUT_S = 8.0
"""When a publish that is not acknowledged fails."""
ANSWER_TIMEOUT_S = 5.0
"""How long a broker may take to answer."""


def settings(bootstrap: str, security: Mapping[str, str]) -> dict[str, Any]:
    """Settings that all clients share. Brokers that were away are tried again every second, not ever more rarely."""
    return {
        "bootstrap_servers": bootstrap.split(","),
        "bootstrap_timeout_ms": int(ANSWER_TIMEOUT_S * 1000),
        "request_timeout_ms": int(ANSWER_TIMEOUT_S * 1000),
        "reconnect_backoff_max_ms": 1000,
        **security,
    }


def unavailable(error: BaseException) -> Unavailable:
    """What kafka-python said, as the error that crosses the seam."""
    return Unavailable(f"kafka: {type(error).__name__}: {error}")


@contextmanager
def translated() -> Iterator[None]:
    """Turn kafka-python's errors into ours: an offset that is gone is `Misplaced`, a setting that it does not take is
    `Misconfigured`, everything else `Unavailable`."""
    try:
        yield
    except (OffsetOutOfRangeError, LogTruncationError) as error:
        raise Misplaced(f"kafka: {type(error).__name__}: {error}") from error
    except KafkaConfigurationError as error:
        raise Misconfigured(f"kafka: {error}") from error
    except (KafkaError, OSError) as error:
        raise unavailable(error) from error
