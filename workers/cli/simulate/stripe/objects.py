"""Stripe's objects for one simulated payment, whole and of real size (2 to 4 KB each).

What is measured on events of them holds for real ones. No call to Stripe is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.cli.simulate.stripe.payment import StripePayment


def payment_intent(payment: StripePayment) -> dict[str, Any]:
    """A payment intent that succeeded."""
    return {
        "id": payment.intent_id,
        "object": "payment_intent",
        "amount": payment.amount_minor,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": payment.amount_minor,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{payment.intent_id}_secret_{payment.key}",
        "confirmation_method": "automatic",
        "created": payment.created_s - 2,
        "currency": payment.currency,
        "customer": f"cus_{payment.key}",
        "customer_account": None,
        "description": "Coins",
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": payment.charge_id,
        "livemode": payment.livemode,
        "metadata": dict(payment.metadata),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": f"pm_{payment.key}",
        "payment_method_configuration_details": {"id": f"pmc_{payment.key}", "parent": None},
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            },
            "link": {"persistent_token": None},
        },
        "payment_method_types": ["card", "link"],
        "processing": None,
        "receipt_email": "viewer@example.com",
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }


def checkout_session(payment: StripePayment) -> dict[str, Any]:
    """A paid checkout session."""
    return {
        "id": payment.session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": True},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": payment.amount_minor,
        "amount_total": payment.amount_minor,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": "https://example.com/coins",
        "client_reference_id": payment.metadata.get("profile_id"),
        "client_secret": None,
        "collected_information": {"business_name": None, "shipping_details": None},
        "consent": None,
        "created": payment.created_s - 90,
        "currency": payment.currency,
        "customer": None,
        "customer_creation": "if_required",
        "customer_details": {
            "address": {
                "city": None,
                "country": "DE",
                "line1": None,
                "line2": None,
                "postal_code": None,
                "state": None,
            },
            "email": "viewer@example.com",
            "name": "A. Viewer",
            "phone": None,
            "tax_exempt": "none",
            "tax_ids": [],
        },
        "discounts": [],
        "expires_at": payment.created_s + 86_310,
        "invoice": None,
        "invoice_creation": {"enabled": False},
        "livemode": payment.livemode,
        "locale": None,
        "metadata": dict(payment.metadata),
        "mode": "payment",
        "payment_intent": payment.intent_id,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_types": ["card", "link"],
        "payment_status": "paid",
        "phone_number_collection": {"enabled": False},
        "presentment_details": {
            "presentment_amount": payment.amount_minor,
            "presentment_currency": payment.currency,
        },
        "recovered_from": None,
        "status": "complete",
        "submit_type": None,
        "subscription": None,
        "success_url": "https://example.com/coins/thanks",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted",
        "url": None,
    }


def charge(payment: StripePayment) -> dict[str, Any]:
    """A captured charge; what it was for stands in the intent's metadata, not in its own."""
    return {
        "id": payment.charge_id,
        "object": "charge",
        "amount": payment.amount_minor,
        "amount_captured": payment.amount_minor,
        "amount_refunded": 0,
        "balance_transaction": f"txn_{payment.key}",
        "billing_details": {
            "address": {
                "city": None,
                "country": "DE",
                "line1": None,
                "line2": None,
                "postal_code": "10115",
                "state": None,
            },
            "email": "viewer@example.com",
            "name": "A. Viewer",
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "COINFLEET",
        "captured": True,
        "created": payment.created_s - 1,
        "currency": payment.currency,
        "customer": f"cus_{payment.key}",
        "description": "Coins",
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": payment.livemode,
        "metadata": {},
        "outcome": {
            "advice_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "risk_score": 27,
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": True,
        "payment_intent": payment.intent_id,
        "payment_method": f"pm_{payment.key}",
        "payment_method_details": {
            "card": {
                "amount_authorized": payment.amount_minor,
                "brand": "visa",
                "checks": {"cvc_check": "pass"},
                "country": "DE",
                "exp_month": 4,
                "exp_year": 2031,
                "fingerprint": "Xt5EWLLDS7FJjR1c",
                "funding": "credit",
                "last4": "4242",
                "network": "visa",
            },
            "type": "card",
        },
        "receipt_email": "viewer@example.com",
        "receipt_url": f"https://pay.stripe.com/receipts/payment/{payment.key}",
        "refunded": False,
        "status": "succeeded",
    }


def refund(
    payment: StripePayment, *, refund_id: str, amount_minor: int, status: str
) -> dict[str, Any]:
    """One refund of the payment, whole or in part."""
    return {
        "id": refund_id,
        "object": "refund",
        "amount": amount_minor,
        "balance_transaction": f"txn_{refund_id}",
        "charge": payment.charge_id,
        "created": payment.created_s,
        "currency": payment.currency,
        "destination_details": {"card": {"reference_status": "pending", "type": "refund"}},
        "metadata": {},
        "payment_intent": payment.intent_id,
        "reason": "requested_by_customer",
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }


def dispute(
    payment: StripePayment,
    *,
    dispute_id: str,
    status: str,
    amount_minor: int,
    balance_transactions: Sequence[tuple[str, int]],
) -> dict[str, Any]:
    """A dispute with the money that moved for it; Stripe's fee is apart from `amount`."""
    return {
        "id": dispute_id,
        "object": "dispute",
        "amount": amount_minor,
        "balance_transactions": [
            {
                "id": transaction_id,
                "object": "balance_transaction",
                "amount": amount,
                "currency": payment.currency,
                "description": f"Chargeback {'withdrawal' if amount < 0 else 'reversal'}",
                "fee": 1500 if amount < 0 else 0,
                "net": amount - (1500 if amount < 0 else 0),
                "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
                "source": dispute_id,
                "type": "adjustment",
            }
            for transaction_id, amount in balance_transactions
        ],
        "charge": payment.charge_id,
        "created": payment.created_s + 86_400,
        "currency": payment.currency,
        "evidence": {"customer_email_address": "viewer@example.com", "product_description": None},
        "evidence_details": {"due_by": payment.created_s + 700_000, "submission_count": 0},
        "is_charge_refundable": False,
        "livemode": payment.livemode,
        "metadata": {},
        "payment_intent": payment.intent_id,
        "payment_method_details": {"card": {"brand": "visa", "case_type": "chargeback"}},
        "reason": "fraudulent",
        "status": status,
    }
