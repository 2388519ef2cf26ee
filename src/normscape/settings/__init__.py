"""What stands behind `normscape.config`: what may be set, to which values, and one line for what may not."""
