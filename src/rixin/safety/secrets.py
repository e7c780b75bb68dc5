"""What opens a door: keys, tokens, passwords; and addresses on the net that lead to a person."""

import re
from collections.abc import Iterator
from ipaddress import ip_address

from rixin.safety.found import Found, Kind, found

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9_-])"
)
_EDGE = r"(?<![0-9A-Za-z_-])"
_SECRETS = (
    re.compile(_EDGE + r"(?:sk|rk|pk|rx|ak)-[A-Za-z0-9_-]{16,256}(?![A-Za-z0-9_-])"),
    re.compile(
        _EDGE + r"(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_\w{30,255}|hf_[A-Za-z0-9]{30,64})(?![A-Za-z0-9_])"
    ),
    re.compile(_EDGE + r"(?:AKIA|ASIA|LTAI|AIza)[A-Za-z0-9_-]{12,40}(?![A-Za-z0-9_-])"),
    re.compile(_EDGE + r"xox[abprs]-[A-Za-z0-9-]{10,250}(?![A-Za-z0-9-])"),
    re.compile(_EDGE + r"eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,1024}(?![A-Za-z0-9_-])"),
)
_NAMED_SECRETS = (
    re.compile(r"\bBearer\s{1,3}(?P<value>[A-Za-z0-9._~+/=-]{16,4096})", re.IGNORECASE),
    re.compile(
        r"(?:密码|口令|密钥|\b(?:password|passwd|pwd|secret|api[_ -]?key|access[_ -]?key|token)) ?(?:is |[:=为是]) ?"
        r"(?P<value>(?=[!-~]{0,127}\d)[!-~]{6,128})",
        re.IGNORECASE,
    ),
    re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,15}://(?P<value>[^\s/@:]{1,100}:[^\s/@]{1,200})(?=@)"),
    re.compile(
        r"[?&](?:access_token|auth|token|api_?key|key|secret|password|passwd|sig|signature|code|ticket|session(?:_?id)?|sid)="
        r"(?P<value>[^\s&#\"'<>]{6,512})",
        re.IGNORECASE,
    ),
)
# The shortest of all these. Chinese text has few such runs, and is done with sooner.
_HAS_WORDS = re.compile(r"[!-~]{6}")
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----")
_KEY_ENDS = "-----END "
_IPV4 = re.compile(r"(?<![0-9A-Za-z_.-])(?:\d{1,3}\.){3}\d{1,3}(?![0-9A-Za-z_-])(?!\.\d)")
_IPV6 = re.compile(
    r"(?<![0-9A-Za-z_:.])(?=[0-9A-Fa-f:]{0,20}\d)[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z_:])"
)
_ADDRESS = re.compile(
    r"(?:IP|地址|主机|服务器|登录|\b(?:address|host|server|ping|from|at))[^0-9\n]{0,8}$", re.IGNORECASE
)


def secrets(text: str) -> Iterator[Found]:
    """Every such piece; spans may overlap."""
    yield from _private_keys(text)
    if _HAS_WORDS.search(text) is None:
        return
    for match in _EMAIL.finditer(text) if "@" in text else ():
        yield found("email", match)
    for pattern in _SECRETS:
        for match in pattern.finditer(text):
            yield found("secret", match)
    for pattern in _NAMED_SECRETS:
        for match in pattern.finditer(text):
            yield found("secret", match, "value")
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(text):
            if _is_address(text, match):
                yield found("ip", match)


def _private_keys(text: str) -> Iterator[Found]:
    """Whole keys; of one that is cut off, all that is left of the text."""
    kind: Kind = "secret"
    at = 0
    while begins := _KEY_BEGINS.search(text, at):
        ends = text.find(_KEY_ENDS, begins.end())
        line_ends = text.find("-----", ends + len(_KEY_ENDS)) if ends >= 0 else -1
        at = line_ends + 5 if line_ends >= 0 else len(text)
        yield Found(kind=kind, start=begins.start(), stop=at)


def _is_address(text: str, match: re.Match[str]) -> bool:
    """A clause may be 3.1.2.4 and a version 1.2.3.4: small figures are an address only where that is said."""
    try:
        address = ip_address(match[0])
    except ValueError:
        return False
    if address.version == 6:
        return any(len(group) >= 3 and any(map(str.isdigit, group)) for group in match[0].split(":"))
    if max(address.packed) >= 100:
        return True
    return _ADDRESS.search(text[max(0, match.start() - 20) : match.start()]) is not None
