"""Pages that a tier with children adds to the console: desk, dispatch centre, wall, measures."""
