"""What runs will take and record, where they stand, how far they are, and how they ended."""
