"""Tools that the suite calls as background tasks."""
