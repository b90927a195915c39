"""Who is next among tenants that share a machine: weighted fair queueing, without threads and clocks.

Start-time fair queueing: work of a tenant begins, in virtual time, where its work before ended, or now if
that is over; who begins first is next, and what it costs, divided by its weight, moves its end. A tenant
alone gets everything; two that are always busy share by weight, whatever the number of their requests.

Goyal, Vin and Cheng 1996, "Start-time Fair Queuing".
"""

from typing import NamedTuple

HIGH, NORMAL, LOW = range(3)
"""Priority classes: what waits in one goes before the next ones, but for `patience`."""
OVERDUE = -1
"""Stands before every class."""
REMEMBERED = 1_000
"""Tenants beyond which those are forgotten whose past work is no burden any more."""


class Share(NamedTuple):
    """Whose work it is, and what part of the machine he gets beside others."""

    tenant: str = ""
    weight: float = 1.0
    priority: int = NORMAL


ALONE = Share()


class Account(NamedTuple):
    """What a tenant had: where its work ends in virtual time, and what was done when it was last served."""

    end: float = 0.0
    served: float = 0.0


class Turns:
    """What every tenant had so far.

    Args:
        patience: work for others after which a tenant that waits goes first, once, whatever its class.
    """

    def __init__(self, patience: float) -> None:
        self.patience, self.done = patience, 0.0
        self._accounts: dict[tuple[str, int], Account] = {}
        self._virtual = [0.0, 0.0, 0.0]

    def start(self, share: Share) -> float:
        """When its next work begins, in the virtual time of its class."""
        account = self._accounts.get((share.tenant, share.priority), Account())
        return max(account.end, self._virtual[share.priority])

    def rank(self, share: Share, since: float) -> tuple[int, float]:
        """The least is next. `since` is what `done` was when the tenant began to wait."""
        account = self._accounts.get((share.tenant, share.priority), Account())
        overdue = self.done - max(account.served, since) >= self.patience
        return (OVERDUE if overdue else share.priority, self.start(share))

    def begin(self, share: Share) -> None:
        """This one is next: virtual time moves on to where its work begins."""
        self._virtual[share.priority] = self.start(share)

    def charge(self, share: Share, cost: float) -> None:
        """So much is done for it."""
        end = self.start(share) + cost / share.weight
        self.done += cost
        self._accounts[share.tenant, share.priority] = Account(end, self.done)
        if len(self._accounts) > REMEMBERED:
            self._forget()

    def _forget(self) -> None:
        """Tenants whose work is over in virtual time begin now in any case."""
        self._accounts = {
            (tenant, priority): account
            for (tenant, priority), account in self._accounts.items()
            if account.end > self._virtual[priority]
        }
