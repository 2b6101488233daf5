"""A room of a field as a third party may write it: a tally that is kept beside each row."""
