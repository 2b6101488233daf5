"""Mutants whose transactions are not whole, or not guarded."""

from __future__ import annotations

from mutants.mutant import Executing, Mutant, Pause
from popoto.exceptions import ReplyError
from popoto.storage import Applied, Batch, Guard, Refused, Reply, Step, Txn


class _EachTxn(Mutant):
    """Runs a batch's transactions by themselves, in a way of the subclass's own."""

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = []
        for step in batch:
            replies += (yield from self.txn(step)) if isinstance(step, Txn) else (yield [step])
        return replies

    def txn(self, txn: Txn) -> Executing:
        return (yield [txn])  # type: ignore[no-any-return]


class TornTxn(_EachTxn):
    """Runs a transaction's commands one by one, others between them."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        if txn.guards:
            return (yield [txn])  # type: ignore[no-any-return]
        replies: list[Reply] = []
        for command in txn.commands:
            replies += yield [command]
            if len(replies) == 1:
                yield Pause()
        return [Applied(replies)]


class IgnoresGuards(_EachTxn):
    """Runs a transaction's commands whatever its guards say."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        return (yield [Txn(txn.commands)])  # type: ignore[no-any-return]


class IgnoresLastGuard(_EachTxn):
    """Looks at all guards of a transaction but the last of several."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        guards = txn.guards[:-1] if len(txn.guards) > 1 else txn.guards
        return (yield [Txn(txn.commands, guards)])  # type: ignore[no-any-return]


class ChecksGuardsTooEarly(_EachTxn):
    """Looks at the guards first and runs the commands a moment later."""

    killed_by = "test_concurrency"

    def txn(self, txn: Txn) -> Executing:
        if not txn.guards:
            return (yield [txn])  # type: ignore[no-any-return]
        first: list[Reply] = yield [Txn((), txn.guards)]
        if not isinstance(first[0], Applied):
            return first
        yield Pause()
        return (yield [Txn(txn.commands)])  # type: ignore[no-any-return]


class NamesWrongGuard(_EachTxn):
    """Says of every refusal that the first guard did not hold."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        replies: list[Reply] = yield [txn]
        return [Refused(0) if isinstance(reply, Refused) else reply for reply in replies]


class ComparesFieldsLoosely(_EachTxn):
    """Takes a `field` guard to hold if the field is there, whatever its value."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        guards: list[Guard] = []
        for guard in txn.guards:
            if guard.kind == "field":
                guard = Guard("present", guard.key)
            guards.append(guard)
        return (yield [Txn(txn.commands, guards)])  # type: ignore[no-any-return]


class AbortsTxnAtError(_EachTxn):
    """Leaves the commands of a transaction undone that stand after one that failed."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        if txn.guards:
            return (yield [txn])  # type: ignore[no-any-return]
        replies: list[Reply] = []
        for command in txn.commands:
            if replies and isinstance(replies[-1], ReplyError):
                replies.append(replies[-1])
            else:
                replies += yield [command]
        return [Applied(replies)]


class AppliesWithoutReplies(_EachTxn):
    """Answers a transaction without its commands' replies."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        replies: list[Reply] = yield [txn]
        return [Applied([]) if isinstance(reply, Applied) else reply for reply in replies]


class RefusalsAsErrors(_EachTxn):
    """Answers a refused transaction with an error."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        replies: list[Reply] = yield [txn]
        return [ReplyError("ABORTED", "guard") if isinstance(reply, Refused) else reply for reply in replies]


class RawRepliesInTxn(_EachTxn):
    """Leaves the replies inside a transaction in the server's shape."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        replies: list[Reply] = yield [txn]
        return [self._raw(txn, reply) for reply in replies]

    def _raw(self, txn: Step, reply: Reply) -> Reply:
        if not isinstance(reply, Applied):
            return reply
        return Applied([int(item) if isinstance(item, bool) else _listed(item) for item in reply.replies])


def _listed(item: Reply) -> Reply:
    if isinstance(item, dict):
        return [part for pair in item.items() for part in pair]
    return list(item) if isinstance(item, set) else item


class LosesLastOfTxn(_EachTxn):
    """Leaves the last of a transaction's several writes undone, and answers for it."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        last = txn.commands[-1] if len(txn.commands) > 1 else None
        if last is None or not last.writes:
            return (yield [txn])  # type: ignore[no-any-return]
        replies: list[Reply] = yield [Txn(txn.commands[:-1], txn.guards)]
        return [Applied([*one.replies, last.shape(1)]) if isinstance(one, Applied) else one for one in replies]


class WritesThenRefuses(_EachTxn):
    """Runs the first command of a transaction that it then refuses."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        replies: list[Reply] = yield [txn]
        if isinstance(replies[0], Refused) and txn.commands:
            yield [txn.commands[0]]
        return replies


class TakesNofieldForAbsent(_EachTxn):
    """Takes a `nofield` guard to hold only if the whole key is missing."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        guards = [Guard("absent", guard.key) if guard.kind == "nofield" else guard for guard in txn.guards]
        return (yield [Txn(txn.commands, guards)])  # type: ignore[no-any-return]


class RefusesWrongTypes(_EachTxn):
    """Refuses a transaction whose guard meets a key of another type, where an error belongs."""

    killed_by = "test_transactions"

    def txn(self, txn: Txn) -> Executing:
        replies: list[Reply] = yield [txn]
        guarded = bool(txn.guards)
        return [Refused(0) if guarded and isinstance(reply, ReplyError) else reply for reply in replies]
