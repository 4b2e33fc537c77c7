"""Files that people attach to what they say: what they are by their content, where they are kept, what is told of them."""
