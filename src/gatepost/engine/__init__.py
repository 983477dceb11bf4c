"""The decision: a pure function from rules and a request to an effect with its reasons."""
