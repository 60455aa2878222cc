"""What calls of tools may do, how sure one has to be of them, and what is said where one is not."""
