"""The outbox: calls to providers, written by the transaction that decides and made outside any."""
