"""What happens to memories when an agent reads, is shown, or uses them."""

from popoto.fields.observation.protocol import ObservationProtocol

__all__ = ["ObservationProtocol"]
