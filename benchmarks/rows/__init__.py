"""One module for each question; `catalogue` names them."""
