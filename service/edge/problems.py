"""HTTP refusals as problem JSON (RFC 9457), with the code that clients act on."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response

from service.core.errors import RequestRefused
from service.edge import metrics

RETRY_AFTER_S = "2"


def problem(error: RequestRefused, headers: Mapping[str, str] | None = None) -> Response:
    metrics.refusals.labels(error.code).inc()
    body = {
        "type": "about:blank",
        "title": error.code.replace("_", " "),
        "status": error.status,
        "code": error.code,
        "detail": str(error),
    }
    extra = {"retry-after": RETRY_AFTER_S} if error.retryable else {}
    return Response(
        orjson.dumps(body),
        status_code=error.status,
        media_type="application/problem+json",
        headers={"cache-control": "no-store", **extra, **(headers or {})},
    )
