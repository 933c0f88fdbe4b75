"""The test's side of the simulator: switches, statistics, received requests."""

import httpx
import pytest

from tests.simulator.api import MODEL, Api, question


def test_switches_are_shown_changed_and_set_back(api: Api, simulator) -> None:
    before = api.client.get("/_control").json()
    changed = simulator.control(tier="V1", first_token_ms=5, tokens_per_second=400, seed=9)
    assert (changed["tier"], changed["first_token_ms"], changed["seed"]) == (100, 5, 9)
    api.ask("hello")
    assert simulator.control(reset=True) == before
    stats = simulator.stats()
    assert (stats["requests"], stats["starts"], stats["outcomes"]) == (0, 0, {})
    assert simulator.requests() == []


WRONG = [
    ({"tier": "V9"}, "tier: 'V9' is none of V0, V1, V2, V3"),
    ({"first_token_ms": -1}, "first_token_ms: -1 is not within 0…600000"),
    ({"tokens_per_second": "fast"}, "tokens_per_second: 'fast' is not a number"),
    ({"jitter": 1}, "jitter: 1 is not within 0…0.9"),
    ({"seed": 1.5}, "seed: 1.5 is not a whole number"),
    ({"unknown_fields": "drop"}, "unknown_fields: 'drop' is none of ignore, refuse"),
    ({"object_field": 1}, "object_field: 1 is neither true nor false"),
    (
        {"continuation": "guess"},
        "continuation: 'guess' is none of exact, repeat, restart, reworded",
    ),
    ({"continuation": None}, "continuation: None is none of exact, repeat"),
    ({"faults": [{"kind": "repeat", "words": 0}]}, "repeat needs a number of at least 1"),
    ({"faults": [{"kind": "exact", "words": 3}]}, "exact takes nothing, not 'words'"),
    ({"release_lag_ms": 501}, "release_lag_ms: 501 is not within 0…500"),
    ({"release_lag_ms": -1}, "release_lag_ms: -1 is not within 0…500"),
    ({"release_lag_ms": "never"}, "release_lag_ms: 'never' is not a number"),
    ({"release_lag_ms": None}, "release_lag_ms: None is not a number"),
    ({"disconnect_delay_ms": "soon"}, "disconnect_delay_ms: 'soon' is neither a number nor 'ne"),
    ({"disconnect_delay_ms": True}, "disconnect_delay_ms: True is neither a number nor 'never'"),
    ({"disconnect_delay_ms": [1]}, "disconnect_delay_ms: [1] is neither a number nor 'never'"),
    ({"disconnect_delay_ms": -1}, "disconnect_delay_ms: -1 is not within 0…600000 nor 'never'"),
    ({"disconnect_delay_ms": 600_001}, "disconnect_delay_ms: 600001 is not within 0…600000"),
    ({"disconnect_delay_ms": "nan"}, "disconnect_delay_ms: 'nan' is not within 0…600000"),
    ({"disconnect_delay_ms": "inf"}, "disconnect_delay_ms: 'inf' is not within 0…600000"),
    ({"write_stall": "maybe"}, "write_stall: 'maybe' is neither true nor false"),
    ({"write_stall": 1}, "write_stall: 1 is neither true nor false"),
    ({"port": 1}, "port: unknown; known are tier"),
    ({"reset": "yes"}, "reset: 'yes' is neither true nor false"),
    ({"faults": {}}, "faults: {} is not a list"),
    ({"faults": ["1302"]}, "a fault is an object with a `kind`"),
    ({"faults": [{"kind": "boom"}]}, "unknown fault 'boom'"),
    ({"faults": [{"kind": "1302", "times": "x"}]}, "times='x' is not a whole number"),
    ({"faults": [{"kind": "1302", "match": 5}]}, "match=5 is not a text"),
    ({"faults": [{"kind": "1302", "probability": 2}]}, "probability=2 is not within 0…1"),
    ({"scripts": [{"text": "x"}]}, "a script needs `match`, `exact` or `hash`"),
    ({"scripts": [{"match": "x", "txt": "y"}]}, "a script is an object of"),
    ({"scripts": [{"match": "x", "text": 1}]}, "a script's `text` is a text"),
    ({"scripts": [{"match": "x", "tool_calls": [{}]}]}, "a tool call has a `name`"),
]


@pytest.mark.parametrize(("changes", "text"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_switch_is_named_and_nothing_changes(api: Api, changes, text: str) -> None:
    before = api.client.get("/_control").json()
    response = api.client.post("/_control", json={"tier": 3, **changes})
    assert response.status_code == 400
    assert text in response.json()["error"]
    assert api.client.get("/_control").json() == before


@pytest.mark.parametrize(
    ("given", "shown"),
    [("never", "never"), (None, "never"), (250, 250), ("250", 250), (0.5, 0.5), (600_000, 600_000)],
)
def test_a_delay_is_a_number_or_never(simulator, given: object, shown: object) -> None:
    assert simulator.control(disconnect_delay_ms=given)["disconnect_delay_ms"] == shown
    assert simulator.control(disconnect_delay_ms=shown)["disconnect_delay_ms"] == shown


def test_a_switch_is_true_or_on(simulator) -> None:
    for given, shown in (("on", True), (False, False), (True, True), ("off", False)):
        assert simulator.control(write_stall=given)["write_stall"] is shown


def test_control_wants_a_json_object(api: Api) -> None:
    assert api.client.post("/_control", content=b"{}").status_code == 415
    json = {"Content-Type": "application/json"}
    assert api.client.post("/_control", content=b"{", headers=json).status_code == 400
    assert api.client.post("/_control", content=b"[]", headers=json).status_code == 400


@pytest.mark.parametrize("path", ["/_control", "/_requests"])
@pytest.mark.parametrize(
    "headers", [{"Origin": "http://shop.example"}, {"Host": "shop.example"}, {"Host": ""}]
)
def test_a_web_page_can_neither_switch_nor_read(api: Api, path: str, headers) -> None:
    response = api.client.get(path, headers=headers)
    assert response.status_code == 403
    assert response.json() == {"error": "only from this machine, and not from a web page"}


def test_received_requests_are_kept_without_the_key(api: Api, simulator) -> None:
    body = question("hello", user_id="customer-1")
    api.post(body)
    (kept,) = simulator.requests()
    assert kept["body"] == body
    assert kept["path"] == "/api/paas/v4/chat/completions"
    assert (kept["account"], kept["model"], kept["status"]) == ("account", MODEL, 200)
    assert (kept["number"], kept["outcome"]) == (1, "stop")
    assert "authorization" not in kept["headers"]
    assert "secret" not in str(kept["headers"])
    assert kept["headers"]["content-type"] == "application/json"


def test_refused_and_broken_requests_are_kept_too(api: Api, simulator) -> None:
    api.client.post("/chat/completions", content=b"\xffbroken")
    api.post(question("hello"), simulate="1302")
    broken, refused = simulator.requests()
    assert (broken["body"], broken["outcome"]) == ("\ufffdbroken", "error_1210")
    assert (refused["status"], refused["outcome"]) == (429, "error_1302")


def test_only_the_newest_requests_are_kept(api: Api, simulator) -> None:
    simulator.control(keep_requests=3)
    for number in range(5):
        api.ask(f"hello {number}")
    assert [one["number"] for one in simulator.requests()] == [3, 4, 5]
    newest = api.client.get("/_requests?last=1").json()
    assert [one["number"] for one in newest] == [5]
    assert api.client.get("/_requests?last=0").json() == []
    assert api.client.get("/_requests?last=x").status_code == 400


def test_both_names_of_the_statistics_serve(api: Api) -> None:
    assert api.client.get("/_stats").json().keys() == api.client.get("/stats").json().keys()


def test_a_script_answers_by_part_by_text_and_by_prompt(api: Api, simulator) -> None:
    api.ask("the third")
    (kept,) = simulator.requests()
    simulator.control(
        scripts=[
            {"match": "first", "text": "One.", "times": 1},
            {"exact": "the second", "text": "Two."},
            {"hash": kept["prompt_hash"], "text": "Three.", "finish_reason": "sensitive"},
        ]
    )
    assert api.ask("the first, please") == "One."
    assert api.ask("the first, please") != "One."
    assert api.ask("the second") == "Two."
    assert api.ask("not the second") != "Two."
    third = api.post(question("the third")).json()["choices"][0]
    assert (third["message"]["content"], third["finish_reason"]) == ("Three.", "sensitive")


def test_everything_follows_from_the_seed(api: Api, simulator) -> None:
    def run(seed: int) -> tuple[list[str], list[str]]:
        simulator.control(reset=True, seed=seed)
        answers = [
            api.post(question(text)).json()
            for text in ("Do you ship to Norway?", "How heavy is the tent?", "Can I pay by card?")
        ]
        texts = [answer["choices"][0]["message"]["content"] for answer in answers]
        return texts, [answer["id"][14:] for answer in answers]

    first = run(1)
    assert run(1) == first
    others = [run(seed) for seed in range(2, 6)]
    assert all(other[1] != first[1] for other in others)
    assert any(other[0] != first[0] for other in others)


def test_wrong_methods_are_refused(api: Api) -> None:
    assert api.client.get("/chat/completions").status_code == 405
    assert api.client.delete("/_control").status_code == 405


def test_control_answers_under_the_machines_names(simulator) -> None:
    port = simulator.base.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost"):
        url = f"http://127.0.0.1:{port}/_control"
        headers = {"Host": f"{host}:{port}"}
        assert httpx.get(url, headers=headers, verify=False).status_code == 200
