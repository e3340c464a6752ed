"""What a village's node does about its town's word on an event (docs/EVENTS.md)."""
