"""What `coinfleet doctor` looks at in Stripe's account."""
