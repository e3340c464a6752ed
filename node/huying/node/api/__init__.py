"""The gRPC API for people and programs on the node's own machine."""
