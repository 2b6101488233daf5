"""Memories that were offered and not yet answered."""

from popoto.fields.recall_proposal.companion import proposals
from popoto.fields.recall_proposal.proposal import RecallProposal

__all__ = ["RecallProposal", "proposals"]
