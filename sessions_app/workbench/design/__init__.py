"""The design page: every component of the desk in every state, for those who work on its looks."""
