"""What the demo network is fed with: real divisions, real requests, generated people."""
