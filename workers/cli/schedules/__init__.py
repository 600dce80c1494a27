"""`coinfleet schedules`: lists the timetable, pauses a job, resumes it, has it run now."""
