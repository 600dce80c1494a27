"""How people sign in to the console, and how their sessions begin, go on and end."""
