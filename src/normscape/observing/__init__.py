"""One step observed, in the suite's loop or in a user's own: opened, closed, checked, and handed to the probes."""
