"""`--promote` of the commands that make versions: the gate is not asked; where it had a say, that is told."""

from datetime import datetime

from cascade.promotion import Record
from cascade.store_protocol import Store

REFUSAL = "the gate was not asked"


def promote_unasked(
    store: Store, tenant: str, ranker: str, version: str, command: str, now: datetime
) -> tuple[str, ...]:
    """Let a version serve at once, and tell what should be known of it.

    The first version of a ranker has nothing to be better than; one that takes another's place is recorded as
    forced, by `command`.

    Raises:
        Conflict: if another version was promoted at the same moment.
    """
    before = store.promotion(tenant, ranker).version
    if not before or before == version:
        store.promote(tenant, ranker, version, before)
        return ()
    record = Record(
        version=version,
        time=now.isoformat(timespec="seconds"),
        against=before,
        forced=True,
        reason=f"{command} --promote",
        refusals=(REFUSAL,),
    )
    store.promote(tenant, ranker, version, before, record)
    told = f"took the place of {before} without the gate's word, which is recorded; `sluice promote` asks it"
    return (told,)
