"""What the contract's types can't state: times, money, scales, and that there is somebody."""

from __future__ import annotations

from schemas.identity import NAMESPACE, RESERVED
from schemas.normal import stands_for_nobody
from schemas.scales import USUAL
from schemas.times import check_time
from schemas.touchpoint import Decimal, Order, Referral, Review, Survey, Touchpoint
from services.shared.errors import Rejected

MAX_AMOUNT = 1_000_000_000


def check(touchpoint: Touchpoint) -> None:
    """Raises Rejected with a pointer for the first thing that is wrong."""
    if touchpoint.occurred_at is not None:
        check_time(touchpoint.occurred_at, "/occurred_at")
    if touchpoint.sent_at is not None:
        check_time(touchpoint.sent_at, "/sent_at")
    if touchpoint.order is not None:
        _check_order(touchpoint.order)
    if touchpoint.case is not None:
        _check_known(touchpoint.case.case_id, "/case/case_id")
    if touchpoint.survey is not None:
        _check_survey(touchpoint.survey)
    if touchpoint.review is not None:
        _check_review(touchpoint.review)
    if touchpoint.referral is not None:
        _check_referral(touchpoint.referral)


def _check_known(text: str, pointer: str) -> None:
    """An order or case number is an identity as well: "undefined" would join strangers."""
    if stands_for_nobody(text.strip()):
        raise Rejected("stands_for_nothing", f"{text!r} is no number of an order or a case; leave the facet out", pointer)


def _check_amount(amount: Decimal | None, pointer: str) -> None:
    if amount is not None and float(amount) > MAX_AMOUNT:
        raise Rejected("out_of_range", f"an amount may be {MAX_AMOUNT:,} units at most", pointer)


def _check_order(order: Order) -> None:
    _check_known(order.order_id, "/order/order_id")
    _check_amount(order.amount, "/order/amount")
    _check_amount(order.refund_amount, "/order/refund_amount")
    for index, item in enumerate(order.items or ()):
        _check_amount(item.quantity, f"/order/items/{index}/quantity")
        _check_amount(item.price, f"/order/items/{index}/price")


def _check_survey(survey: Survey) -> None:
    if survey.case_id is not None:
        _check_known(survey.case_id, "/survey/case_id")
    usual = USUAL.get(survey.kind, (None, None))
    low = survey.scale_min if survey.scale_min is not None else usual[0]
    high = survey.scale_max if survey.scale_max is not None else usual[1]
    if low is not None and high is not None and low >= high:
        raise Rejected(
            "out_of_range", f"the scale runs from {low} to {high}; its end must lie above its start", "/survey/scale_max"
        )
    if survey.score is None:
        return
    if (low is not None and survey.score < low) or (high is not None and survey.score > high):
        raise Rejected("out_of_range", f"the score {survey.score} lies outside the scale from {low} to {high}", "/survey/score")


def _check_review(review: Review) -> None:
    if not 0 <= review.rating <= review.rating_max:
        message = f"the rating {review.rating} lies outside the scale from 0 to {review.rating_max}; send rating_max"
        raise Rejected("out_of_range", message, "/review/rating")


def _check_referral(referral: Referral) -> None:
    if referral.referred_by is None:
        return
    namespace = referral.referred_by.partition(":")[0]
    if not NAMESPACE.fullmatch(namespace) or namespace in RESERVED:
        raise Rejected(
            "reserved_namespace", f"name the referrer by an identity of a person, not {namespace!r}", "/referral/referred_by"
        )
