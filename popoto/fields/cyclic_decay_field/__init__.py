"""`CyclicDecayField`."""

from popoto.fields.cyclic_decay_field.field import CyclicDecayField

__all__ = ["CyclicDecayField"]
