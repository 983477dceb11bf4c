"""The bridge: what MDMs say about devices becomes overrides, and stays right."""
