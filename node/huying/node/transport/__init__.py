"""Links between a node and its neighbours: gRPC streams over mutual TLS, carrying opaque frames."""
