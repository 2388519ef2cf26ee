"""Pages for a browser: results, or the runs of a folder, as one file that loads nothing from elsewhere."""
