"""One MDM: Omnissa Workspace ONE UEM."""
