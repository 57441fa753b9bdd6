"""One module for each client; each is imported only in the process that measures it."""
