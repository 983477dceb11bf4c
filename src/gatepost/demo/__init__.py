"""A small mailbox server, a phone and one story, to see the main job done."""
