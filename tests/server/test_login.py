import asyncio
from pathlib import Path

import httpx

from modules.server.access import Access
from tests.server.doors import knock, make_access, make_app


def visit(access: Access, *steps: tuple[str, str, dict[str, str] | None]) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        async with knock(make_app(access)) as browser:
            return [await browser.request(method, path, data=form) for method, path, form in steps]

    return asyncio.run(run())


def test_the_one_time_link_becomes_a_cookie_that_opens_the_page(tmp_path: Path) -> None:
    access = make_access(tmp_path)
    link = f"/login?token={access.links.issue()}"
    login, page, again = visit(access, ("GET", link, None), ("GET", "/", None), ("GET", link, None))
    assert (login.status_code, login.headers["location"]) == (303, "/")
    cookie = login.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert (page.status_code, page.json()) == (200, "local")
    assert again.status_code == 401
    assert "used already" in again.text


def test_the_cookie_is_secure_under_tls(tmp_path: Path) -> None:
    access = make_access(tmp_path, tls=True)
    (login,) = visit(access, ("GET", f"/login?token={access.links.issue()}", None))
    assert "Secure" in login.headers["set-cookie"]


def test_without_users_the_page_explains_the_link(tmp_path: Path) -> None:
    (page,) = visit(make_access(tmp_path), ("GET", "/login", None))
    assert page.status_code == 200
    assert "login link" in page.text
    assert "<form" not in page.text


def test_a_user_logs_in_and_out(tmp_path: Path) -> None:
    access = make_access(tmp_path)
    access.accounts.add_user("ann", "ann's password", "artist")
    form = {"name": "ann", "password": "ann's password"}
    steps = (
        ("GET", "/login", None),
        ("POST", "/login", {**form, "password": "wrong"}),
        ("POST", "/login", form),
        ("GET", "/", None),
        ("POST", "/logout", None),
        ("GET", "/", None),
    )
    shown, wrong, right, page, out, after = visit(access, *steps)
    assert "<form" in shown.text
    assert wrong.status_code == 401
    assert wrong.headers["www-authenticate"].startswith("Bearer")
    assert "Incorrect" in wrong.text
    assert right.status_code == 303
    assert page.json() == "ann"
    assert out.headers["location"] == "/login"
    assert after.status_code == 401


def test_the_form_says_where_it_comes_from(tmp_path: Path) -> None:
    """Else browsers send "Origin: null", which the guard refuses."""
    access = make_access(tmp_path)
    access.accounts.add_user("ann", "ann's password", "artist")
    (page,) = visit(access, ("GET", "/login", None))
    assert '<meta name="referrer" content="same-origin">' in page.text
    assert page.headers["referrer-policy"] == "no-referrer"


def test_an_oversized_form_is_refused(tmp_path: Path) -> None:
    (answer,) = visit(make_access(tmp_path), ("POST", "/login", {"name": "x" * 5000, "password": ""}))
    assert answer.status_code == 413
