"""Where posture comes from: one small module for each kind of MDM, behind the interface in `base`."""
