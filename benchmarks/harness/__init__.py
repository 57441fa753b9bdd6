"""Servers, processes, meters and reports for all rows."""
