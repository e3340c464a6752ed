"""How a node enters the network: its folder, the invite, the join, and another parent later."""
