"""What is told outside: every type of event, and how somebody follows them."""
