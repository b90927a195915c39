"""What is left of a refused call."""

import gc
import weakref

import grpc

from features.errors import Exhausted
from serving.interceptors import refuse


class Request:
    """Stands for what a call holds."""


def test_nothing_of_a_refused_call_waits_for_the_garbage_collector() -> None:
    """Not even where the frame that raised holds the error in a variable, as in `raise error`."""
    held: list[weakref.ref[Request]] = []

    def over_quota() -> None:
        request = Request()
        held.append(weakref.ref(request))
        error = Exhausted("over the quota")
        raise error

    gc.disable()
    try:
        try:
            over_quota()
        except Exhausted as error:
            refused = refuse(error, "/sluice.v1.Ranking/Rank", lambda: "id", "shop")
        assert held[0]() is None
    finally:
        gc.enable()
    assert refused.status is grpc.StatusCode.RESOURCE_EXHAUSTED
