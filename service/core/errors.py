"""Everything that can go wrong, in one tree.

    ParleyError                     code, retryable
    ├── CommandRefused              a customer's command; becomes an `error` frame
    │   ├── BadCommand              bad_command        a field is missing or of the wrong type
    │   ├── UnknownCommand          unknown_command
    │   ├── BadId                   bad_id             not 8 to 64 of [A-Za-z0-9_-]
    │   ├── TextEmpty               text_empty
    │   ├── TextTooLong             text_too_long
    │   ├── RateLimited             rate_limited       retry_ms says when
    │   ├── NotRetryable            not_retryable      answer.retry for what cannot be retried
    │   ├── NoSuchMessage           no_such_message    stop, rate or history for an unknown message
    │   ├── IdentifyUnavailable     identify_unavailable
    │   └── Unavailable             unavailable        the store is away; retry_ms says when
    ├── SocketRefused               the socket's end; becomes a close code
    │   ├── NoHello                 4408  no_hello
    │   ├── Replaced                4409  replaced     a newer socket of the same customer
    │   ├── TooSlow                 4410  too_slow
    │   ├── TooManySockets          4429  too_many_sockets
    │   ├── Shed                    4430  shed
    │   ├── BadToken                4501  bad_token
    │   ├── VersionUnsupported      4505  version_unsupported
    │   └── BadFrame                4508  bad_frame    malformed, binary, or above the frame limit
    ├── RequestRefused              an HTTP request; becomes problem JSON
    │   ├── BadRequest              400   bad_request
    │   ├── OriginRefused           403   origin_refused
    │   ├── SiteUnknown             404   site_unknown
    │   ├── TooManyRequests         429   too_many_requests
    │   └── ServiceUnavailable      503   service_unavailable
    ├── ModelError                  the provider; mapped once, in clients/model.py
    │   ├── ModelOverTier           model_over_tier     1302 1303: too many at once
    │   ├── ModelOverloaded         model_overloaded    1305 1312 and 5xx: the platform, not us
    │   ├── ModelUnreachable        model_unreachable   no connection, or none in time
    │   ├── ModelStalled            model_stalled       silent for too long within an answer
    │   ├── ModelCutOff             model_cut_off       the stream ended before its end
    │   ├── ModelContextTooLong     model_context_too_long   1261
    │   ├── ModelRefused            model_refused       1300 1301, `sensitive`: content, not us
    │   ├── ModelRejected           model_rejected      12xx: our request is wrong
    │   └── ModelAccountBlocked     model_account_blocked    keys, balance, quotas: alarm
    ├── PermitError                 core/permit_errors.py
    │   ├── QueueTooLong            queue_too_long      refused at the door: position and ETA
    │   ├── PermitTimeout           permit_timeout      waited to the deadline
    │   ├── PermitLost              permit_lost         granted, but its deadline has passed
    │   ├── PermitSpent             permit_spent        one acquisition, entered twice
    │   ├── PermitNotHeld           permit_not_held     given back by who does not have it
    │   └── PermitsUnavailable      permits_unavailable
    │       └── PermitsSchema       permits_schema      workers of a version too far from ours
    ├── StoreError
    │   ├── StoreUnavailable        store_unavailable   Redis is away or slow
    │   ├── StoreUnsuitable         store_unsuitable    too old, or evicts keys
    │   ├── TurnLost                turn_lost           another worker owns the turn now
    │   ├── StepMissing             step_missing        the log lacks steps that were written
    │   └── ConversationGone        conversation_gone
    └── SettingError                setting             a CLI: one line and exit code 2
        ├── LimitAboveTier          limit_above_tier    an operator's limit above the account's
        └── TierUnknown             tier_unknown        a limit before any worker came

Clients act on codes, never on text. What a customer reads comes from core/texts.py in the
customer's language; the text of an exception is for operators.
"""

from typing import ClassVar


class ParleyError(Exception):
    """The root. ``code`` is stable and documented; ``retryable`` says whether a retry helps."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False


# -- a customer's command -------------------------------------------------------------------


class CommandRefused(ParleyError):
    """Becomes an ``error`` frame. ``values`` fill the placeholders of the customer's text.

    ``fatal`` tells the client not to send the same command again by itself.
    """

    fatal: ClassVar[bool] = True

    def __init__(self, detail: str = "", *, retry_ms: int | None = None, **values: object) -> None:
        super().__init__(detail or self.code)
        self.retry_ms = retry_ms
        self.values = values


class BadCommand(CommandRefused):
    code = "bad_command"


class UnknownCommand(CommandRefused):
    code = "unknown_command"


class BadId(CommandRefused):
    code = "bad_id"


class TextEmpty(CommandRefused):
    code = "text_empty"


class TextTooLong(CommandRefused):
    code = "text_too_long"


class RateLimited(CommandRefused):
    code = "rate_limited"
    retryable = True
    fatal = False


class NotRetryable(CommandRefused):
    code = "not_retryable"


class NoSuchMessage(CommandRefused):
    code = "no_such_message"


class IdentifyUnavailable(CommandRefused):
    code = "identify_unavailable"


class Unavailable(CommandRefused):
    code = "unavailable"
    retryable = True
    fatal = False


# -- the socket itself ----------------------------------------------------------------------


class SocketRefused(ParleyError):
    """Becomes a close code: 4000 to 4499 reconnect, 4500 to 4999 do not."""

    close_code: ClassVar[int]


class NoHello(SocketRefused):
    code = "no_hello"
    close_code = 4408
    retryable = True


class Replaced(SocketRefused):
    code = "replaced"
    close_code = 4409
    retryable = True


class TooSlow(SocketRefused):
    code = "too_slow"
    close_code = 4410
    retryable = True


class TooManySockets(SocketRefused):
    code = "too_many_sockets"
    close_code = 4429
    retryable = True


class Shed(SocketRefused):
    code = "shed"
    close_code = 4430
    retryable = True


class BadToken(SocketRefused):
    code = "bad_token"
    close_code = 4501


class VersionUnsupported(SocketRefused):
    code = "version_unsupported"
    close_code = 4505


class BadFrame(SocketRefused):
    code = "bad_frame"
    close_code = 4508


# -- an HTTP request ------------------------------------------------------------------------


class RequestRefused(ParleyError):
    """Becomes problem JSON (RFC 9457) with ``status`` and ``code``."""

    status: ClassVar[int]


class BadRequest(RequestRefused):
    code = "bad_request"
    status = 400


class OriginRefused(RequestRefused):
    code = "origin_refused"
    status = 403


class SiteUnknown(RequestRefused):
    code = "site_unknown"
    status = 404


class TooManyRequests(RequestRefused):
    code = "too_many_requests"
    status = 429
    retryable = True


class ServiceUnavailable(RequestRefused):
    code = "service_unavailable"
    status = 503
    retryable = True


# -- the model's provider -------------------------------------------------------------------


class ModelError(ParleyError):
    """``provider_code`` is the provider's own `error.code`, or "" where there was none."""

    def __init__(self, detail: str = "", *, provider_code: str = "") -> None:
        super().__init__(detail or self.code)
        self.provider_code = provider_code


class ModelOverTier(ModelError):
    code = "model_over_tier"
    retryable = True


class ModelOverloaded(ModelError):
    code = "model_overloaded"
    retryable = True


class ModelUnreachable(ModelError):
    code = "model_unreachable"
    retryable = True


class ModelStalled(ModelError):
    code = "model_stalled"
    retryable = True


class ModelCutOff(ModelError):
    code = "model_cut_off"
    retryable = True


class ModelContextTooLong(ModelError):
    code = "model_context_too_long"


class ModelRefused(ModelError):
    code = "model_refused"


class ModelRejected(ModelError):
    code = "model_rejected"


class ModelAccountBlocked(ModelError):
    code = "model_account_blocked"


# -- the store ------------------------------------------------------------------------------


class StoreError(ParleyError):
    """Something between us and the conversations."""


class StoreUnavailable(StoreError):
    code = "store_unavailable"
    retryable = True


class StoreUnsuitable(StoreError):
    code = "store_unsuitable"


class TurnLost(StoreError):
    code = "turn_lost"


class StepMissing(StoreError):
    """The log lost its tail: it has the owner's steps up to ``has`` only."""

    code = "step_missing"

    def __init__(self, detail: str = "", *, has: int = 0) -> None:
        super().__init__(detail or self.code)
        self.has = has


class ConversationGone(StoreError):
    code = "conversation_gone"


class SettingError(ParleyError):
    """A wrong setting. The text names the variable, what is wrong, and a line that works."""

    code = "setting"


class LimitAboveTier(SettingError):
    code = "limit_above_tier"


class TierUnknown(SettingError):
    code = "tier_unknown"
