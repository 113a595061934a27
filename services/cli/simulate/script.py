"""What can happen in a generated year: every type with its stage, its actor and its usual channel.

The table is the generator's own statement of what the types mean; a test compares it with the vocabulary.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Stage = Literal["awareness", "consideration", "purchase", "loyalty", "advocacy"]
STAGES: tuple[Stage, ...] = ("awareness", "consideration", "purchase", "loyalty", "advocacy")
Actor = Literal["customer", "business", "system"]


class Act(NamedTuple):
    """`stage` None: it counts where the person already is."""

    stage: Stage | None
    actor: Actor = "customer"


ACTS: dict[str, Act] = {
    # finding out
    "ad_clicked": Act("awareness"),
    "social_post_clicked": Act("awareness"),
    "content_viewed": Act("awareness"),
    "page_viewed": Act(None),
    "screen_viewed": Act(None),
    # weighing it up
    "products_searched": Act("consideration"),
    "product_list_viewed": Act("consideration"),
    "product_viewed": Act("consideration"),
    "product_added": Act("consideration"),
    "product_added_to_wishlist": Act("consideration"),
    "newsletter_subscribed": Act("consideration"),
    "signed_up": Act("consideration"),
    "signed_in": Act(None),
    # buying
    "checkout_started": Act("purchase"),
    "payment_info_entered": Act("purchase"),
    "order_completed": Act("purchase"),
    "order_cancelled": Act(None),
    "order_refunded": Act(None, "business"),
    "order_shipped": Act(None, "business"),
    # coming back
    "loyalty_joined": Act("loyalty"),
    "loyalty_points_redeemed": Act("loyalty"),
    # recommending
    "product_reviewed": Act("advocacy"),
    "product_shared": Act("advocacy"),
    "referral_sent": Act("advocacy"),
    # service; who acts in a message depends on who wrote it
    "case_opened": Act(None),
    "case_queued": Act(None),
    "case_answered": Act(None, "business"),
    "case_abandoned": Act(None),
    "case_message": Act(None),
    "case_transferred": Act(None, "business"),
    "case_resolved": Act(None, "business"),
    "case_reopened": Act(None),
    # mail and surveys
    "email_sent": Act(None, "business"),
    "email_opened": Act(None),
    "email_clicked": Act(None),
    "survey_sent": Act(None, "business"),
    "survey_answered": Act(None),
}
