"""One module for each client; a module is imported only in the process that measures its client."""
