"""`POST /v1/sessions`, asked as browsers and as others ask."""

import httpx
import pytest

SHOP = {"origin": "https://shop.example"}


@pytest.fixture
async def http(instance):
    async with httpx.AsyncClient(base_url=instance.url, trust_env=False) as client:
        yield client


async def test_a_listed_origin_gets_a_session(http):
    reply = await http.post("/v1/sessions", json={"site": "pk_demo"}, headers=SHOP)
    session = reply.json()
    assert reply.status_code == 200
    assert set(session) == {"token", "conversation", "resume", "resumed"}
    assert not session["resumed"]
    assert len(session["token"]) >= 43 and len(session["resume"]) >= 43  # 256 bits in base64
    assert reply.headers["access-control-allow-origin"] == SHOP["origin"]
    assert reply.headers["cache-control"] == "no-store"
    assert "set-cookie" not in reply.headers


async def test_parleys_own_origin_gets_a_session_for_any_site(http, instance):
    reply = await http.post(
        "/v1/sessions", json={"site": "pk_other"}, headers={"origin": instance.url}
    )
    assert reply.status_code == 200


async def test_a_handle_leads_back_to_its_conversation_and_has_a_successor(http):
    first = (await http.post("/v1/sessions", json={"site": "pk_demo"}, headers=SHOP)).json()
    body = {"site": "pk_demo", "resume": first["resume"]}
    second = (await http.post("/v1/sessions", json=body, headers=SHOP)).json()
    assert second["resumed"] and second["conversation"] == first["conversation"]
    assert second["token"] != first["token"] and second["resume"] != first["resume"]


@pytest.mark.parametrize("handle", ["unknown-handle-of-nobody", "", "x" * 500, "ä"])
async def test_an_unknown_handle_gives_a_new_conversation(http, handle):
    body = {"site": "pk_demo", "resume": handle}
    reply = await http.post("/v1/sessions", json=body, headers=SHOP)
    assert reply.status_code == 200 and reply.json()["resumed"] is False


async def test_a_handle_of_another_site_gives_a_new_conversation(http, instance):
    own = {"origin": instance.url}
    first = (await http.post("/v1/sessions", json={"site": "pk_other"}, headers=own)).json()
    body = {"site": "pk_demo", "resume": first["resume"]}
    second = (await http.post("/v1/sessions", json=body, headers=own)).json()
    assert not second["resumed"] and second["conversation"] != first["conversation"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ('{"site": "pk_nobody"}', SHOP, 404, "site_unknown"),
        ('{"site": "pk_demo"}', {"origin": "https://evil.example"}, 403, "origin_refused"),
        ('{"site": "pk_demo"}', {"origin": "null"}, 403, "origin_refused"),
        ('{"site": "pk_demo"}', {"origin": "https://other.example"}, 403, "origin_refused"),
        ('{"site": "pk_demo"}', {"origin": "https://["}, 403, "origin_refused"),
        ('{"site": "pk_demo"}', {}, 403, "origin_refused"),
        ("{", SHOP, 400, "bad_request"),
        ("[]", SHOP, 400, "bad_request"),
        ('{"site": 7}', SHOP, 400, "bad_request"),
        ('{"site": "' + "x" * 5000 + '"}', SHOP, 400, "bad_request"),
    ],
)
async def test_what_is_wrong_is_told_as_problem_json(http, body, headers, status, code):
    reply = await http.post("/v1/sessions", content=body, headers=headers)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == code and reply.json()["status"] == status


async def test_a_preflight_is_answered_for_listed_origins_only(http):
    asks = {"access-control-request-method": "POST"}
    good = await http.options("/v1/sessions", headers={**SHOP, **asks})
    assert good.status_code == 204
    assert good.headers["access-control-allow-origin"] == SHOP["origin"]
    evil = await http.options("/v1/sessions", headers={"origin": "https://evil.example", **asks})
    assert "access-control-allow-origin" not in evil.headers


async def test_health_readiness_and_metrics_answer(http):
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/readyz")).status_code == 200
    text = (await http.get("/metrics")).text
    assert "parley_sockets" in text and "parley_ready" in text


async def test_the_panel_may_be_framed_by_its_sites_origins_only(http, instance):
    reply = await http.get("/panel", params={"site": "pk_demo", "locale": "de-AT"})
    policy = reply.headers["content-security-policy"]
    assert reply.status_code == 200 and 'lang="de"' in reply.text
    assert "default-src 'none'" in policy and "trusted-types 'none'" in policy
    assert "frame-ancestors 'self' https://shop.example http://127.0.0.1:*" in policy
    assert f"ws://{instance.host}" in policy
    assert "{{" not in reply.text and "The Shop" in reply.text


async def test_the_panel_of_no_site_is_a_page_that_can_say_so(http):
    key = "pk_nobody"
    reply = await http.get("/panel", params={"site": key, "locale": "ar"})
    assert reply.status_code == 404 and 'dir="rtl"' in reply.text
    assert reply.headers["content-type"].startswith("text/html")
    assert "frame-ancestors *" in reply.headers["content-security-policy"]
    assert reply.headers["cache-control"] == "no-store"


async def test_a_sites_key_is_text_in_the_panel_never_html(http):
    reply = await http.get("/panel", params={"site": '"><script>alert(1)</script>'})
    assert "<script>alert" not in reply.text and "&lt;script&gt;" in reply.text


@pytest.mark.parametrize(("accepted", "coding"), [("br, gzip", "br"), ("gzip", "gzip"), ("", None)])
async def test_the_loader_is_served_in_the_smallest_form_that_is_accepted(http, accepted, coding):
    reply = await http.get("/widget.js", headers={"accept-encoding": accepted})
    assert reply.status_code == 200
    assert reply.headers.get("content-encoding") == coding
    assert reply.headers["content-type"].startswith("text/javascript")


async def test_a_file_that_was_not_built_is_not_found(http):
    assert (await http.get("/assets/..%2f..%2fsettings.py")).status_code == 404
    assert (await http.get("/assets/none.js")).status_code == 404
