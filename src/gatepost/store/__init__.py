"""The database: rows, changes and the feed that gateways follow."""
