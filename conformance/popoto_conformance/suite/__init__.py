"""The cases, one module per command group and one per promise of the waist."""
