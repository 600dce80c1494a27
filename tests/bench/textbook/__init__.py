"""The reference for events received and applied: what a good engineer would write first.

A row and a message an event, a transaction a message: the inbox makes deliveries idempotent, the
profiles are locked in id order, each movement of coins has its ledger entries. It is correct, on
the same server, driver, queue and providers' code as ours; it only never takes two events at once.
"""
