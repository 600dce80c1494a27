"""The pages of the console: a module per subject, each with coroutines that take a Visit."""
