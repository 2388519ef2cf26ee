"""A file of a user's that counts passes."""

COUNT = 0
