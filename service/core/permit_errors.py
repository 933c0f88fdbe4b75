"""What can go wrong with a permit; a branch of the tree that core/errors.py draws."""

from service.core.errors import ParleyError

TOO_FAR = (
    "workers of a version too far from this one use the same account: "
    "roll through the versions between, or stop the others first"
)


class PermitError(ParleyError):
    """``position`` (1 is next) and ``eta_ms`` as far as they are known."""

    def __init__(self, detail: str = "", *, position: int = 0, eta_ms: int = 0) -> None:
        super().__init__(detail or self.code)
        self.position = position
        self.eta_ms = eta_ms


class QueueTooLong(PermitError):
    code = "queue_too_long"
    retryable = True


class PermitTimeout(PermitError):
    code = "permit_timeout"
    retryable = True


class PermitLost(PermitError):
    code = "permit_lost"
    retryable = True


class PermitSpent(PermitError):
    """A defect of the caller: each request to the model needs an acquisition of its own."""

    code = "permit_spent"


class PermitNotHeld(PermitError):
    """A defect of the caller. The count stays as it is."""

    code = "permit_not_held"


class PermitsUnavailable(PermitError):
    code = "permits_unavailable"
    retryable = True


class PermitsSchema(PermitsUnavailable):
    """Workers whose records this version cannot read live, or the other way round."""

    code = "permits_schema"

    def __init__(self, detail: str = "", *, position: int = 0, eta_ms: int = 0) -> None:
        super().__init__(detail or TOO_FAR, position=position, eta_ms=eta_ms)
