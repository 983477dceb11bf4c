"""Any MDM."""
