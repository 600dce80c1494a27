"""What happens to payments and gifts in life: a case is one function, mix.py lists them all."""
