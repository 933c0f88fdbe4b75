"""The provider's error table and its literal bodies.

Texts are the documents' own, or those of a live capture where one is known; they changed twice in
two years, so a client must go by `code`. The HTTP status of some codes is not documented; those
follow third-party notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import orjson


class Stage(IntEnum):
    """The checks in the order in which the provider makes them."""

    GATEWAY = 0
    AUTH = 1
    PARAMETERS = 2
    BALANCE = 3
    MODERATION = 4
    CONCURRENCY = 5
    OVERLOAD = 6
    WORK = 7  # accepted: what happens now happens to an answer under way


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One row: HTTP status, the stage at which it is found, text with `{field}` places."""

    status: int
    stage: Stage
    text: str


_AUTH, _PARAMETERS, _OVERLOAD = Stage.AUTH, Stage.PARAMETERS, Stage.OVERLOAD

TABLE: dict[str, ErrorRow] = {
    "500": ErrorRow(500, _OVERLOAD, "内部错误"),
    "1000": ErrorRow(401, _AUTH, "身份验证失败"),
    "1001": ErrorRow(401, _AUTH, "Header中未收到Authorization参数，无法进行身份验证"),
    "1002": ErrorRow(401, _AUTH, "Authentication Token非法，请确认Authentication Token正确传递"),
    "1003": ErrorRow(401, _AUTH, "Authentication Token已过期，请重新生成/获取"),
    "1004": ErrorRow(401, _AUTH, "通过Authentication Token的验证失败"),
    "1100": ErrorRow(429, _AUTH, "账户读写"),
    "1110": ErrorRow(429, _AUTH, "您的账户当前处于非活动状态。请检查账户信息"),
    "1111": ErrorRow(429, _AUTH, "您的账户不存在"),
    "1112": ErrorRow(429, _AUTH, "您的账户已被锁定，请联系客服解锁"),
    "1113": ErrorRow(429, Stage.BALANCE, "余额不足或无可用资源包,请充值。"),
    "1120": ErrorRow(429, _AUTH, "无法成功访问您的账户，请稍后重试"),
    "1121": ErrorRow(429, _AUTH, "账户存违规行为，账号已被锁定"),
    "1200": ErrorRow(500, _OVERLOAD, "API 调用错误"),
    "1210": ErrorRow(400, _PARAMETERS, "API 调用参数有误，请检查文档。"),
    "1211": ErrorRow(400, _PARAMETERS, "模型不存在，请检查模型代码。"),
    "1212": ErrorRow(400, _PARAMETERS, "当前模型不支持{method}调用方式"),
    "1213": ErrorRow(400, _PARAMETERS, "未正常接收到{field}参数。"),
    "1214": ErrorRow(400, _PARAMETERS, "{field}参数非法。请检查文档。"),
    "1215": ErrorRow(400, _PARAMETERS, "{field}与{other}不能同时设置，请检查文档"),
    "1220": ErrorRow(403, _PARAMETERS, "您无权访问{api}"),
    "1221": ErrorRow(400, _PARAMETERS, "API {api} 已下线"),
    "1222": ErrorRow(400, _PARAMETERS, "API {api} 不存在"),
    "1230": ErrorRow(500, _OVERLOAD, "API 调用流程出错"),
    "1231": ErrorRow(400, _PARAMETERS, "您已有请求：{request_id}"),
    "1234": ErrorRow(500, _OVERLOAD, "网络错误，错误id：{error_id}，请联系客服"),
    "1261": ErrorRow(400, _PARAMETERS, "Prompt exceeds max length"),
    "1300": ErrorRow(400, Stage.MODERATION, "API 调用被策略阻止"),
    "1301": ErrorRow(
        400,
        Stage.MODERATION,
        "系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入易产生敏感内容的提示语，感谢您的配合。",
    ),
    "1302": ErrorRow(
        429,
        Stage.CONCURRENCY,
        "您当前使用该API的并发数过高，请降低并发，或联系客服增加限额。",
    ),
    "1303": ErrorRow(
        429,
        Stage.CONCURRENCY,
        "您当前使用该API的频率过高，请降低频率，或联系客服增加限额。",
    ),
    "1304": ErrorRow(429, _OVERLOAD, "该API已达今日调用次数限额，如有更多需求，请联系客服购买"),
    "1305": ErrorRow(429, _OVERLOAD, "当前API请求过多，请稍后重试。"),
    "1308": ErrorRow(
        429, _OVERLOAD, "已达到{number}的使用上限。您的限额将在{next_flush_time}重置。"
    ),
    "1309": ErrorRow(429, _OVERLOAD, "您的 GLM Coding Plan 套餐已到期，暂无法使用"),
    "1310": ErrorRow(
        429, _OVERLOAD, "您已达到每周/每月使用上限，您的限额将在{next_flush_time}重置。"
    ),
    "1311": ErrorRow(429, _OVERLOAD, "当前订阅套餐暂未开放{model}权限"),
    "1312": ErrorRow(
        429,
        _OVERLOAD,
        "该模型当前访问量过大，请您稍后再试，或切换其他模型如{model}等",
    ),
    "1313": ErrorRow(
        429, _OVERLOAD, "您的账户当前使用模式不符合公平使用策略，请求频率已受到限制。"
    ),
}

_FILLERS = {
    "method": "SSE",
    "field": "messages",
    "other": "tools",
    "api": "chat/completions",
    "request_id": "",
    "error_id": "20260513104055026b785598bb460e",
    "number": "1000次",
    "next_flush_time": "2026-11-24 00:00:00",
    "model": "glm-4-flash-250414",
}
CONTENT_FILTER_LEVEL = 1  # 0 is the worst, 3 the mildest


class Refusal(Exception):
    """The request is answered with this instead of an answer.

    `outcome` is its name in the statistics (`error_1302`, `html429`, …).
    """

    def __init__(self, status: int, body: bytes, outcome: str, content_type: str) -> None:
        super().__init__(outcome)
        self.status = status
        self.body = body
        self.outcome = outcome
        self.content_type = content_type


def error_body(code: str, message: str | None = None, **fields: str) -> bytes:
    """The literal JSON body of `code`; `fields` fill the text's places."""
    text = message or TABLE[code].text.format_map({**_FILLERS, **fields})
    error = {"code": code, "message": text}
    if code == "1301":
        filtered = [{"level": CONTENT_FILTER_LEVEL, "role": "user"}]
        return orjson.dumps({"contentFilter": filtered, "error": error})
    return orjson.dumps({"error": error})


def refusal(code: str, message: str | None = None, **fields: str) -> Refusal:
    """The refusal with `code`, its status and literal body."""
    body = error_body(code, message, **fields)
    return Refusal(TABLE[code].status, body, f"error_{code}", "application/json; charset=UTF-8")


_PAGE = (
    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
    "<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def html_page(status: int, title: str) -> Refusal:
    """What stands before the API (a firewall, nginx) answers: a page, not JSON."""
    body = _PAGE.format(title=f"{status} {title}").encode()
    return Refusal(status, body, f"html{status}", "text/html")
