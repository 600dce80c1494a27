"""The reference for events received and applied: what a good engineer would write first.

It has one row and one message per event, and one transaction per message. The inbox makes
deliveries idempotent, the profiles are locked in id order, each movement of coins has its ledger
entries. It is correct, and uses the same server, driver, queue and providers' code as ours. But it
never applies two events in one transaction.
"""
