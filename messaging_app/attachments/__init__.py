"""Files attached to messages: their type by content, where they are stored, and what events say of them."""
