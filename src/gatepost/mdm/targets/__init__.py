"""Where the bridge writes: this store, or Amazon WorkMail, behind what they have in common in `base`."""
