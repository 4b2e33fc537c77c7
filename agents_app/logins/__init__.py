"""How people log in, for how long, and who is locked out."""
