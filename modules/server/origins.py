"""Other web sites that the administrator lets call the API from their pages (CORS).

By default there are none. An allowed site is named exactly; the star that lets every site in is refused,
because any page that somebody opens could then use the server behind his back.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["OriginRule", "parse_origins"]

_PREFLIGHT_SECONDS = 600


@dataclass(frozen=True)
class OriginRule:
    """Which origins may call beside the server's own pages.

    Attributes:
        names: origins such as ``https://example.org``, in lower case.
        pattern: further origins, matched as a whole.
    """

    names: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may call."""
        if origin.lower() in self.names:
            return True
        return self.pattern is not None and self.pattern.fullmatch(origin) is not None

    def headers(self, origin: str) -> Mapping[str, str]:
        """What tells the browser so."""
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "retry-after, x-process-time",
            "vary": "Origin",
        }

    def preflight_headers(self, origin: str, asked: str) -> Mapping[str, str]:
        """The answer to a browser that asks before it sends a request; ``asked`` are its headers' names."""
        return {
            **self.headers(origin),
            "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS, HEAD",
            "access-control-allow-headers": asked if _is_header_list(asked) else "content-type",
            "access-control-max-age": str(_PREFLIGHT_SECONDS),
        }


def parse_origins(names: Sequence[str], pattern: str | None) -> OriginRule:
    """The rule that two flags mean.

    Raises:
        ValueError: an entry is no origin, or the pattern no regular expression.
    """
    for name in names:
        parts = urlsplit(name)
        if parts.scheme not in {"http", "https"} or f"{parts.scheme}://{parts.netloc}" != name:
            raise ValueError(
                f"{name!r} is no origin; name each site in full, such as https://example.org, without a path"
            )
    try:
        compiled = re.compile(pattern) if pattern else None
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return OriginRule(frozenset(name.lower() for name in names), compiled)


def _is_header_list(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9-]+( *, *[A-Za-z0-9-]+)*", text)) and len(text) < 1000
