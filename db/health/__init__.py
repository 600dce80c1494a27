"""How the fleet is: what processes report, what needs a person, whether the database serves."""
