"""What a tier with children adds: the desk that answers calls, the demo network, the bench."""
