"""How the fleet is: reports of its processes, vital signs, readiness."""
