"""Servers, fresh processes, meters and reports that all rows share."""
