"""Survey of .mod files: what each point process declares, and how it answers an event."""
