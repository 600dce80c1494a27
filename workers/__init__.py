"""Which processes run: an entry module per process, and PROCESSES, the table of them.

Only this package knows the environment, the queue, HTTP and the clock.
"""
