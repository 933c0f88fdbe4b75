"""Keys and their signed form."""

import time
from collections.abc import Iterator

import httpx
import jwt
import pytest

from tests.simulator.api import Api, question
from tests.support.instance import Program

ACCOUNT, SECRET = "0123456789abcdef", "0123456789abcdef0123456789abcdef"

MISSING = {"code": "1001", "message": "Header中未收到Authorization参数，无法进行身份验证"}
ILLEGAL = {
    "code": "1002",
    "message": "Authentication Token非法，请确认Authentication Token正确传递",
}
EXPIRED = {"code": "1003", "message": "Authentication Token已过期，请重新生成/获取"}
FAILED = {"code": "1004", "message": "通过Authentication Token的验证失败"}


def signed(secret: str = SECRET, account: str = ACCOUNT, lasts_ms: int = 60_000) -> str:
    now = int(time.time() * 1000)
    claims = {"api_key": account, "exp": now + lasts_ms, "timestamp": now}
    header = {"alg": "HS256", "sign_type": "SIGN"}
    return jwt.encode(claims, secret, algorithm="HS256", headers=header)


def ask(base: str, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    url = f"{base}/api/paas/v4/chat/completions"
    return httpx.post(url, json=question("hello"), headers=headers, verify=False)


@pytest.fixture(scope="module")
def keyed() -> Iterator[str]:
    """A simulator that accepts one key only."""
    program = Program(
        "-m", "service.simulator", "--port", "0", "--key", f"{ACCOUNT}.{SECRET}",
        "--first-token-ms", "0", "--tokens-per-second", "0",
    )  # fmt: skip
    yield program.said(r"listening on (http://\S+)")
    program.stop()


def test_any_key_of_the_right_form_is_accepted_where_none_was_given(api: Api) -> None:
    assert api.post(question("hello")).status_code == 200


def test_a_request_without_a_key_gets_1001(simulator) -> None:
    response = ask(simulator.base, None)
    assert (response.status_code, response.json()) == (401, {"error": MISSING})


@pytest.mark.parametrize("value", ["Bearer", "Basic a.b", "Bearer nodot", "Bearer a.b.c", "x.y"])
def test_a_key_of_the_wrong_form_gets_1002(simulator, value: str) -> None:
    response = ask(simulator.base, value)
    assert (response.status_code, response.json()) == (401, {"error": ILLEGAL})


def test_keys_are_checked_before_parameters(simulator) -> None:
    response = httpx.post(f"{simulator.base}/chat/completions", content=b"no json")
    assert response.json() == {"error": MISSING}


def test_a_given_key_and_its_signed_form_are_accepted(keyed: str) -> None:
    assert ask(keyed, f"Bearer {ACCOUNT}.{SECRET}").status_code == 200
    assert ask(keyed, f"Bearer {signed()}").status_code == 200


def test_another_key_gets_1002(keyed: str) -> None:
    assert ask(keyed, "Bearer some.other").json() == {"error": ILLEGAL}


def test_a_signed_key_that_has_expired_gets_1003(keyed: str) -> None:
    response = ask(keyed, f"Bearer {signed(lasts_ms=-1)}")
    assert (response.status_code, response.json()) == (401, {"error": EXPIRED})


def test_a_signed_key_with_a_wrong_signature_gets_1004(keyed: str) -> None:
    assert ask(keyed, f"Bearer {signed(secret='x' * 32)}").json() == {"error": FAILED}
    assert ask(keyed, f"Bearer {signed(account='unknown')}").json() == {"error": FAILED}


def test_a_signed_key_without_an_expiry_gets_1002(keyed: str) -> None:
    token = jwt.encode({"api_key": ACCOUNT}, SECRET, algorithm="HS256")
    assert ask(keyed, f"Bearer {token}").json() == {"error": ILLEGAL}


def test_key_and_signed_form_are_one_account(simulator) -> None:
    ask(simulator.base, f"Bearer {ACCOUNT}.{SECRET}")
    ask(simulator.base, f"Bearer {signed()}")
    (line,) = simulator.stats()["per_model"]
    assert (line["account"], line["starts"]) == (ACCOUNT, 2)


def test_models_are_listed_for_a_key_only(api: Api, simulator) -> None:
    listed = api.client.get("/api/paas/v4/models").json()
    assert listed["object"] == "list"
    assert "glm-4-flashx-250414" in [model["id"] for model in listed["data"]]
    assert httpx.get(f"{simulator.base}/models").json() == {"error": MISSING}
