"""What is promised to whoever waits, and when it is late."""
