"""Coming in and going out: the one-time link, the password form, the session cookie."""

from html import escape
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from modules.domain.principal import Principal
from modules.server.access import PAGE_CHALLENGE, Access, Refusal
from modules.server.accounts import SESSION_DAYS

__all__ = ["login_router"]

_MAX_FORM = 4096  # bytes; a name and a password
# A browser that may not name the page it comes from (no-referrer) sends a form with "Origin: null", as a
# hostile page can too. This page names itself, to this server alone, so that the guard knows its form.
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Log in</title>
<meta name="referrer" content="same-origin">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; margin: 0; display: grid;
  place-items: center; min-height: 100vh; background: light-dark(#f6f6f9, #0f0f13);
  color: light-dark(#22222c, #e8e8ee) }}
main {{ width: min(22rem, 90vw) }}
h1 {{ font-size: 1.4rem }}
label {{ display: block; margin: .8rem 0 .2rem }}
input {{ width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; border-radius: 8px;
  border: 1px solid light-dark(#8c8c9c, #6c6c7c); background: light-dark(#fff, #22222c); color: inherit }}
button {{ margin-top: 1rem; width: 100%; padding: .6rem; font: inherit; border: 0; border-radius: 8px;
  background: #6938ef; color: #fff; cursor: pointer }}
.notice {{ color: light-dark(#b42318, #fda29b) }}
a {{ color: inherit }}
</style></head>
<body><main><h1>Log in</h1><p class="notice" role="alert">{notice}</p>{content}</main></body></html>"""
_FORM = """<form method="post" action="/login">
<label for="name">Name</label><input id="name" name="name" autocomplete="username" autofocus required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Log in</button></form>"""
_LINK_HINT = """<p>Open the login link that the server printed in its terminal when it started; it works once.
Start the server again for a new one.</p><p><a href="/">Logged in already? Go on.</a></p>"""


def login_router(access: Access) -> APIRouter:
    """Routes ``/login`` and ``/logout``."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    def show_login(request: Request, token: str = "") -> Response:
        """Redeem a one-time link, or show the form."""
        if not token:
            return _page(access, "")
        verdict = access.log_in_by_link(_client(request), token)
        if isinstance(verdict, Refusal) and not verdict.retry_after:
            return _page(access, "This login link was used already or is too old.", 401)
        return _outcome(access, verdict)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        """Check the form."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_FORM:
                return _page(access, "That is too long for a name and a password.", 413)
        fields = parse_qs(body.decode("utf-8", "replace"))
        name, password = (fields.get(key, [""])[0] for key in ("name", "password"))
        return _outcome(access, access.log_in(_client(request), name, password))

    @router.post("/logout")
    def log_out(request: Request) -> Response:
        """End the session of this browser."""
        access.accounts.close_session(request.cookies.get(access.cookie, ""))
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(access.cookie)
        return response

    return router


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _outcome(access: Access, verdict: Principal | Refusal) -> Response:
    if isinstance(verdict, Refusal):
        response = _page(access, verdict.detail, 429 if verdict.retry_after else 401)
        if verdict.retry_after:
            response.headers["retry-after"] = str(verdict.retry_after)
        return response
    answer = RedirectResponse("/", status_code=303)
    answer.set_cookie(
        access.cookie,
        access.accounts.open_session(verdict),
        max_age=SESSION_DAYS * 86400,
        httponly=True,
        samesite="strict",
        secure=access.tls,
    )
    return answer


def _page(access: Access, notice: str, status: int = 200) -> Response:
    content = _FORM if access.has_credentials() else _LINK_HINT
    headers = {"cache-control": "no-store"}
    if status == 401:
        headers["www-authenticate"] = PAGE_CHALLENGE
    return HTMLResponse(_PAGE.format(notice=escape(notice), content=content), status, headers)
