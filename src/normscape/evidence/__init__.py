"""What was found: tables of runs, the papers' own curves, statistics, claims and their verdicts."""
