"""Payments: a list that can be filtered, one payment, and disputes with their deadlines."""
