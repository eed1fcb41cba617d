from pathlib import Path

import pytest

from modules.domain.principal import LOCAL, Principal
from modules.exceptions import NotFoundError, RequestError
from modules.server.access import HostRule, LoginLinks, is_loopback
from modules.server.accounts import AccountStore
from modules.server.failure_limit import FailureLimit
from tests.server.doors import LOCAL_HOSTS

ANN = Principal("ann", "artist")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:7860", "localhost:1", "LOCALHOST", "[::1]:7860"])
def test_the_servers_own_names_are_allowed(host: str) -> None:
    assert LOCAL_HOSTS.allows(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "rebind.evil.example",
        "127.0.0.1.nip.io",
        "localhost.evil.example",
        "[::ffff:127.0.0.1]",
        "127.0.0.1:7860@evil.example",
        "localhost:99999999",
        "localhost ",
        "192.168.1.5",
    ],
)
def test_other_names_are_refused(host: str) -> None:
    assert not LOCAL_HOSTS.allows(host)


def test_an_address_on_the_network_is_allowed_and_a_name_that_points_to_it_is_not() -> None:
    rule = HostRule(frozenset({"studio.local"}), any_address=True)
    assert rule.allows("192.168.1.5:7860")
    assert rule.allows("[fe80::1]:7860")
    assert rule.allows("studio.local")
    assert not rule.allows("192.168.1.5.nip.io:7860")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.5", False),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_loopback_is_decided_from_the_address(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


def test_a_login_link_works_once() -> None:
    links = LoginLinks()
    token = links.issue()
    assert links.redeem("wrong") is None
    assert links.redeem(token) == LOCAL
    assert links.redeem(token) is None


def test_sessions_survive_a_restart_and_end_with_logout(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite3"
    first = AccountStore(path)
    cookie = first.open_session(ANN)
    first.close()
    second = AccountStore(path)
    assert second.check_session(cookie) == ANN
    second.close_session(cookie)
    assert second.check_session(cookie) is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert cookie.encode() not in path.read_bytes()
    second.close()


def test_users_prove_themselves_with_the_newest_password(tmp_path: Path) -> None:
    accounts = AccountStore(tmp_path / "accounts.sqlite3")
    assert not accounts.has_credentials()
    accounts.add_user("ann", "old password", "artist")
    assert accounts.check_password("ann", "old password") == ANN
    assert accounts.check_password("ann", "old password") == ANN
    session = accounts.open_session(ANN)
    accounts.add_user("ann", "new password", "admin")
    assert accounts.check_password("ann", "old password") is None
    assert accounts.check_password("ann", "new password") == Principal("ann", "admin")
    assert accounts.check_password("bob", "new password") is None
    assert accounts.check_session(session) is None
    assert accounts.users() == (Principal("ann", "admin"),)
    accounts.close()


def test_a_removed_user_is_out_everywhere(tmp_path: Path) -> None:
    accounts = AccountStore(tmp_path / "accounts.sqlite3")
    accounts.add_user("ann", "a password", "artist")
    token, session = accounts.create_token("ann", "artist"), accounts.open_session(ANN)
    assert accounts.check_token(token) == ANN
    accounts.remove_user("ann")
    assert accounts.check_token(token) is None
    assert accounts.check_session(session) is None
    assert accounts.check_password("ann", "a password") is None
    with pytest.raises(NotFoundError):
        accounts.remove_user("ann")
    accounts.close()


def test_a_token_gives_no_more_than_the_role_that_its_owner_has_now(tmp_path: Path) -> None:
    accounts = AccountStore(tmp_path / "accounts.sqlite3")
    high, low = accounts.create_token("bob", "admin"), accounts.create_token("ann", "artist")
    accounts.add_user("bob", "a password", "artist")
    accounts.add_user("ann", "a password", "admin")
    assert accounts.check_token(high) == Principal("bob", "artist")
    assert accounts.check_token(low) == ANN
    accounts.close()


@pytest.mark.parametrize(("now", "stays"), [("joe:old", True), ("joe:new", False), ("ann:old", False)])
def test_a_session_ends_with_the_password_that_opened_it(tmp_path: Path, now: str, stays: bool) -> None:
    accounts = AccountStore(tmp_path / "accounts.sqlite3")
    accounts.end_outdated_sessions({"joe": "old"}, loopback=False)
    cookie = accounts.open_session(Principal("joe", "admin"))
    name, _, password = now.partition(":")
    accounts.end_outdated_sessions({name: password}, loopback=False)
    assert (accounts.check_session(cookie) is not None) is stays
    accounts.close()


@pytest.mark.parametrize("loopback", [True, False])
def test_the_session_of_a_link_ends_when_the_network_reaches_the_server(
    tmp_path: Path, loopback: bool
) -> None:
    accounts = AccountStore(tmp_path / "accounts.sqlite3")
    accounts.add_user("ann", "a password", "artist")
    local, ann = accounts.open_session(LOCAL), accounts.open_session(ANN)
    accounts.end_outdated_sessions({}, loopback=loopback)
    assert (accounts.check_session(local) is not None) is loopback
    assert accounts.check_session(ann) == ANN
    accounts.close()


@pytest.mark.parametrize(
    ("name", "password"), [("a b", "long enough"), ("", "long enough"), ("ann", "short")]
)
def test_bad_names_and_short_passwords_are_refused(tmp_path: Path, name: str, password: str) -> None:
    accounts = AccountStore(tmp_path / "accounts.sqlite3")
    with pytest.raises(RequestError):
        accounts.add_user(name, password, "artist")
    accounts.close()


def test_guessing_is_slowed_down_and_forgiven_after_the_window() -> None:
    now = [0.0]
    limit = FailureLimit(allowed=3, window=60, clock=lambda: now[0], addresses=2)
    for second in range(3):
        assert limit.seconds_left("a") == 0
        now[0] = float(second)
        limit.failed("a")
    assert limit.seconds_left("a") == 58
    assert limit.seconds_left("b") == 0
    now[0] = 60.5
    assert limit.seconds_left("a") == 0


def test_a_guesser_gains_nothing_by_other_addresses_of_his_network() -> None:
    limit = FailureLimit(allowed=2, window=60)
    for address in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"):
        limit.failed(address)
    assert limit.seconds_left("2001:db8:0:1::3") > 0
    for other in ("2001:db8:0:2::1", "203.0.113.7", "::ffff:203.0.113.8", "no address"):
        assert limit.seconds_left(other) == 0
