"""Normalisations of a pre-activation, one family per file."""
