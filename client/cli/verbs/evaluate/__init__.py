"""`evaluate`: how good is what is served, against answers that are known."""
