"""The events that programs outside can follow: every type, and how to subscribe."""
