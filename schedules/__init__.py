"""When work is done: the timetable, and nothing that acts on it."""
