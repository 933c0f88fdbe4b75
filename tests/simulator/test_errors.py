"""The literal body of every error in the table."""

import json

import pytest

from tests.simulator.api import Api, question

BODIES = {
    "500": (500, "内部错误"),
    "1000": (401, "身份验证失败"),
    "1001": (401, "Header中未收到Authorization参数，无法进行身份验证"),
    "1002": (401, "Authentication Token非法，请确认Authentication Token正确传递"),
    "1003": (401, "Authentication Token已过期，请重新生成/获取"),
    "1004": (401, "通过Authentication Token的验证失败"),
    "1100": (429, "账户读写"),
    "1110": (429, "您的账户当前处于非活动状态。请检查账户信息"),
    "1111": (429, "您的账户不存在"),
    "1112": (429, "您的账户已被锁定，请联系客服解锁"),
    "1113": (429, "余额不足或无可用资源包,请充值。"),
    "1120": (429, "无法成功访问您的账户，请稍后重试"),
    "1121": (429, "账户存违规行为，账号已被锁定"),
    "1200": (500, "API 调用错误"),
    "1210": (400, "API 调用参数有误，请检查文档。"),
    "1211": (400, "模型不存在，请检查模型代码。"),
    "1212": (400, "当前模型不支持SSE调用方式"),
    "1213": (400, "未正常接收到messages参数。"),
    "1214": (400, "messages参数非法。请检查文档。"),
    "1215": (400, "messages与tools不能同时设置，请检查文档"),
    "1220": (403, "您无权访问chat/completions"),
    "1221": (400, "API chat/completions 已下线"),
    "1222": (400, "API chat/completions 不存在"),
    "1230": (500, "API 调用流程出错"),
    "1231": (400, "您已有请求：request-1"),
    "1234": (500, "网络错误，错误id：20260513104055026b785598bb460e，请联系客服"),
    "1261": (400, "Prompt exceeds max length"),
    "1300": (400, "API 调用被策略阻止"),
    "1302": (429, "您当前使用该API的并发数过高，请降低并发，或联系客服增加限额。"),
    "1303": (429, "您当前使用该API的频率过高，请降低频率，或联系客服增加限额。"),
    "1304": (429, "该API已达今日调用次数限额，如有更多需求，请联系客服购买"),
    "1305": (429, "当前API请求过多，请稍后重试。"),
    "1308": (429, "已达到1000次的使用上限。您的限额将在2026-11-24 00:00:00重置。"),
    "1309": (429, "您的 GLM Coding Plan 套餐已到期，暂无法使用"),
    "1310": (429, "您已达到每周/每月使用上限，您的限额将在2026-11-24 00:00:00重置。"),
    "1311": (429, "当前订阅套餐暂未开放glm-4-flash-250414权限"),
    "1312": (429, "该模型当前访问量过大，请您稍后再试，或切换其他模型如glm-4-flash-250414等"),
    "1313": (429, "您的账户当前使用模式不符合公平使用策略，请求频率已受到限制。"),
}


@pytest.mark.parametrize("code", BODIES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_error_has_its_status_and_literal_body(api: Api, code: str, stream: bool) -> None:
    status, message = BODIES[code]
    body = question("hello", stream=stream, request_id="request-1")
    response = api.post(body, simulate=code)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json; charset=UTF-8"
    expected = {"error": {"code": code, "message": message}}
    assert (
        response.content == json.dumps(expected, ensure_ascii=False, separators=(",", ":")).encode()
    )


def test_unsafe_content_names_the_filter_beside_the_error(api: Api) -> None:
    response = api.post(question("hello"), simulate="1301")
    assert response.status_code == 400
    assert response.text == (
        '{"contentFilter":[{"level":1,"role":"user"}],"error":{"code":"1301","message":'
        '"系统检测到输入或生成内容可能包含不安全或敏感内容，'
        '请您避免输入易产生敏感内容的提示语，感谢您的配合。"}}'
    )


@pytest.mark.parametrize(("kind", "status", "title"), [
    ("html429", 429, "429 Too Many Requests"),
    ("html502", 502, "502 Bad Gateway"),
])  # fmt: skip
def test_the_gateway_answers_with_a_page(api: Api, kind: str, status: int, title: str) -> None:
    response = api.post(question("hello"), simulate=kind)
    assert (response.status_code, response.headers["content-type"]) == (status, "text/html")
    assert f"<h1>{title}</h1>" in response.text


def test_an_error_may_come_with_status_200(api: Api) -> None:
    response = api.post(question("hello"), simulate="error_200")
    assert (response.status_code, response.json()["error"]["code"]) == (200, "1301")
    response = api.post(question("hello", stream=True), simulate="error_200 code=1305")
    assert (response.status_code, response.json()["error"]["code"]) == (200, "1305")


def test_no_error_says_when_to_come_back(api: Api) -> None:
    """No such header is documented or was ever seen."""
    for code in ("1302", "1305", "500"):
        assert "retry-after" not in api.post(question("hello"), simulate=code).headers


def test_every_error_of_the_table_is_tested() -> None:
    from service.simulator.errors import TABLE

    assert set(TABLE) == {*BODIES, "1301"}
