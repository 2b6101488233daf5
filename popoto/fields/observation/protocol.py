"""The hooks of a memory's life: it was read, it was shown, it was used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from popoto.fields.observation.effects import reported
from popoto.fields.recall_proposal import RecallProposal
from popoto.fields.recall_proposal.batches import batches


class ObservationProtocol:
    """Applies what an agent did with its memories to what they have learned.

    What an outcome does to one row is one atomic step: another process sees all of it or nothing. The rows of one call
    travel together, in one round trip for each 500.
    """

    @staticmethod
    def on_read(instance: Any, pipeline: Any = None) -> Any:
        """Note that a row was read, where its model tracks reads; otherwise nothing happens.

        Returns:
            None, or the pipeline when one was given.
        """
        return instance.on_read(pipeline=pipeline) if hasattr(instance, "on_read") else pipeline

    @staticmethod
    async def async_on_read(instance: Any, pipeline: Any = None) -> Any:
        """`on_read` for asyncio."""
        return await instance.async_on_read(pipeline=pipeline) if hasattr(instance, "async_on_read") else pipeline

    @staticmethod
    def on_surfaced(
        instances: Sequence[Any], reason: str = "proactive", partition: str | None = None, pipeline: Any = None
    ) -> Any:
        """Note that rows were pushed into an agent's context: `RecallProposal.create_batch`. They do not change."""
        return RecallProposal.create_batch(instances, reason, partition, pipeline)

    @staticmethod
    async def async_on_surfaced(
        instances: Sequence[Any], reason: str = "proactive", partition: str | None = None, pipeline: Any = None
    ) -> Any:
        """`on_surfaced` for asyncio."""
        return await RecallProposal.async_create_batch(instances, reason, partition, pipeline)

    @staticmethod
    def on_context_used(
        instances: Iterable[Any],
        outcome_map: Mapping[str | bytes, str],
        pipeline: Any = None,
        outcome_id: str | None = None,
    ) -> Any:
        """Apply how an agent responded to the rows in its context.

        | | acted | used | dismissed | deferred | contradicted |
        |---|---|---|---|---|---|
        | decay | touched | | | | |
        | staged reads | confirmed | confirmed | discarded | discarded | discarded |
        | cycles | strengthened | | weakened | | weakened |
        | pressure | resolved | | | | resolved when a confidence is low |
        | confidence | signal 0.9 | | | | signal 0.1 |
        | open prediction | error 0.1 | error 0.3 | error 0.5 | | error 0.9 |
        | proposals | removed | removed | removed | removed | removed |

        Args:
            instances: the rows that were in the context; those that are gone are left alone.
            outcome_map: outcomes by row key, text or bytes; a row that it does not name is deferred.
            pipeline: a pipeline in which all effects wait.
            outcome_id: tells this report from others: of a row's last 16, none has an effect twice.

        Returns:
            None, or the pipeline when one was given.

        Raises:
            ValueError: for an unknown outcome; nothing was changed.
            TypeError: when an instance was never saved and its outcome is not deferred; nothing was changed.
        """
        for model, plan in batches(reported(instances, outcome_map, outcome_id)):
            model._run(plan, pipeline)
        return pipeline

    @staticmethod
    async def async_on_context_used(
        instances: Iterable[Any],
        outcome_map: Mapping[str | bytes, str],
        pipeline: Any = None,
        outcome_id: str | None = None,
    ) -> Any:
        """`on_context_used` for asyncio."""
        for model, plan in batches(reported(instances, outcome_map, outcome_id)):
            await model._arun(plan, pipeline)
        return pipeline
