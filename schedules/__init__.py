"""When work is done: the timetable. The code that acts on it is in workers/."""
