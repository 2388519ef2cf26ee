"""Files that are whole at every moment, where they lie and what they are called, and the rows that a run leaves."""
