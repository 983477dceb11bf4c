"""The verbs of the WorkMail API; the only code that changes rules."""
