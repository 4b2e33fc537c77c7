"""What is locked, and who writes it: the hold on a conversation, the operations and the only writer of status."""
