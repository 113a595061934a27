"""The reference: what DESIGN.md says, written down as plainly as possible, over whole sets, with no thought of speed.

Imports nothing from `services` or `schemas`, so that a mistake there cannot hide here. A touchpoint is a dict:

| key | what it is |
| --- | --- |
| source, system, id, type | text |
| time_us, received_us | whole microseconds; `original_us` is the time before it was set to the time of receipt, `time_us` if absent |
| digest | anything that orders copies received in one microsecond |
| identities | `namespace:value`, the highest rank first |
| case_rank | life-cycle order of the case action, 0 without one |
| actor | customer, business or system |
| stage | its own stage, or None |
| order | None, or a dict with `order_id` and `action` (placed, changed, cancelled, refunded, returned) |
| placed_order | whether its stage is purchase or loyalty, by the person's other orders |
"""

from __future__ import annotations

from typing import Any

Touchpoint = dict[str, Any]
"""See above; each part of the model needs only some of the keys."""
Command = dict[str, Any]
"""A link or an unlink: `id`, `action`, `identities` (two, as `namespace:value`), `at_us`."""


def order_of(touchpoint: Touchpoint) -> tuple[int, int, int, str, str]:
    """The total order of one person's touchpoints."""
    time_us: int = touchpoint["time_us"]
    return (
        time_us,
        int(touchpoint.get("original_us", time_us)),
        int(touchpoint.get("case_rank", 0)),
        touchpoint["source"],
        touchpoint["id"],
    )
