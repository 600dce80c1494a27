"""What is killed, frozen, emptied or stopped here, in front of real processes under load."""
