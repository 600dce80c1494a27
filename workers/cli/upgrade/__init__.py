"""`coinfleet upgrade`: from an older generation of the platform to this one."""
