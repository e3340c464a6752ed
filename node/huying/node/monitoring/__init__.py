"""What a node tells of itself: figures, the scrape, a day of history, and what is wrong."""
