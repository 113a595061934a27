"""JSON pointers (RFC 6901): where in a touchpoint something is wrong."""

from __future__ import annotations


def escape(key: str) -> str:
    """A key as one part of a pointer."""
    return key.replace("~", "~0").replace("/", "~1")
