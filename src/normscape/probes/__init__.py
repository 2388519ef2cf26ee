"""What is measured while a network trains, one quantity per file."""
