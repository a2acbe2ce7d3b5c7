"""What owners of pages ask for, and the verdict on it."""
