"""Who falls into which group: a hash, so that every server says the same and nobody has to remember it."""

from hashlib import blake2b

from cascade.experiments.declared import SHADOW, Experiment


def unit_of(user: str, session: str, request_id: str) -> str:
    """Who is assigned as one: the user; where none is known the session; else the request by itself."""
    return f"user {user}" if user else f"session {session}" if session else f"request {request_id}"


def draw(experiment: Experiment, unit: str) -> int:
    """64 bits of a unit, uniform over units, and unlike those of another experiment."""
    text = f"{experiment.seed}\0{experiment.name}\0{unit}"
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def group_of(experiment: Experiment, user: str, session: str, request_id: str) -> int:
    """The index of the group that a request belongs to; shadows are assigned request by request."""
    unit = f"request {request_id}" if experiment.kind == SHADOW else unit_of(user, session, request_id)
    point, end = draw(experiment, unit) / 2**64, 0.0
    for group, share in enumerate(experiment.shares):
        end += share
        if point < end:
            return group
    return max(group for group, share in enumerate(experiment.shares) if share)  # the sum may round below 1
