"""The windows in which a text that is longer than the context is read."""


def window_start(place: int, n_ctx: int) -> int:
    """Where the window begins in which the token at `place` is predicted.

    Windows begin every half context, so a token sees at least half a context, and a text is read
    twice at most; it depends on nothing else. Within the first context it is 0.
    """
    half = max(1, n_ctx // 2)
    return half * -(-max(0, place - n_ctx + 1) // half)
