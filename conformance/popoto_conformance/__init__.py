"""The conformance suite of popoto backends."""
