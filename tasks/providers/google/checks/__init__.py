"""What `coinfleet doctor` looks at in Google's account."""
