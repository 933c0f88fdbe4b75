"""The shops that the file of PARLEY_SITES declares: TOML, one `[[site]]` each.

`docs/sites.md` lists every field; a test compares. What is wrong in the file raises SettingError,
whose one line names the file, the site and what works. A misspelt field is wrong, too: one that was
silently ignored would be a limit that its shop believes in.
"""

import tomllib
from pathlib import Path

import msgspec

from service.core.errors import SettingError
from service.core.languages import LANGUAGES, match
from service.core.model import Site
from service.settings import longest_message
from service.variables import VARIABLES


class _Sites(msgspec.Struct, forbid_unknown_fields=True):
    site: list[Site] = []


def load_sites(path: Path, *, frame_bytes: int) -> dict[str, Site]:
    """The sites that ``path`` declares, by key. Raises SettingError.

    ``frame_bytes`` bounds how long a message a site may allow.
    """
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingError(f"PARLEY_SITES={path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"PARLEY_SITES={path}: not TOML: {error}") from error
    try:
        declared = msgspec.convert(raw, _Sites).site
    except msgspec.ValidationError as error:
        raise SettingError(f"PARLEY_SITES={path}: {error}") from error
    if not declared:
        raise SettingError(f"PARLEY_SITES={path}: declares no site; add a [[site]] with a key")
    sites: dict[str, Site] = {}
    for site in declared:
        _check_site(path, site, frame_bytes)
        if site.key in sites:
            raise SettingError(f"PARLEY_SITES={path}: the site key {site.key!r} stands twice")
        sites[site.key] = site
    return sites


def _check_site(path: Path, site: Site, frame_bytes: int) -> None:
    where = f"PARLEY_SITES={path}: site {site.key!r}"
    if not site.key or not site.key.replace("_", "").replace("-", "").isalnum():
        raise SettingError(f"{where}: a key is letters, digits, - and _, such as pk_shop")
    if not site.origins:
        raise SettingError(f'{where}: needs origins = ["https://shop.example"]')
    for origin in site.origins:
        _check_origin(where, origin)
    for language in (*site.languages, *(code for fact in site.facts for code in fact.text)):
        if not match(language, tuple(LANGUAGES), ""):
            raise SettingError(f"{where}: {language!r} is none of {' '.join(LANGUAGES)}")
    for passage in site.facts:
        if not passage.text or not passage.title:
            raise SettingError(f"{where}: a fact needs a title and a text in some language")
    _check_limits(where, site, frame_bytes)


def _check_origin(where: str, origin: str) -> None:
    """Scheme, host and port; ``*.`` only in front of a name, port ``*`` only on loopback names."""
    scheme, _, rest = origin.partition("://")
    host, _, port = rest.partition(":")
    loopback = host in ("127.0.0.1", "localhost") or host.endswith(".localhost")
    bare = host.removeprefix("*.")
    good = (
        scheme in ("http", "https")
        and origin == origin.lower()
        and bare.replace(".", "").replace("-", "").isalnum()
        and (not host.startswith("*.") or "." in bare)
        and (not port or port.isdigit() or (port == "*" and loopback))
        and not rest.endswith(":")
    )
    if not good:
        raise SettingError(f"{where}: {origin!r} is no origin such as https://shop.example")


def _check_limits(where: str, site: Site, frame_bytes: int) -> None:
    """A site's own limit takes what the setting of the same name takes."""
    for variable in VARIABLES:
        value = getattr(site.limits, variable.field, None)
        try:
            if value is not None:
                variable.parse(str(value))
        except ValueError as error:
            raise SettingError(f"{where}: limits.{variable.field} = {value}: {error}") from error
    if (site.limits.message_units or 0) > longest_message(frame_bytes):
        raise SettingError(
            f"{where}: limits.message_units = {site.limits.message_units}: PARLEY_FRAME_BYTES="
            f"{frame_bytes} holds {longest_message(frame_bytes)} at most"
        )
