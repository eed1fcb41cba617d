from modules.domain.principal import Principal
from tests.server.studio import Studio

SETTINGS = "/api/v1/settings"


def caller(studio: Studio, role: str) -> dict[str, str]:
    principal = Principal("ann", "admin" if role == "admin" else "artist")
    return {"cookie": f"{studio.access.cookie}={studio.access.accounts.open_session(principal)}"}


def test_settings_are_listed_with_their_limits_and_values(studio: Studio) -> None:
    listed = studio.get(SETTINGS, headers=caller(studio, "artist")).json()
    by_key = {item["key"]: item for item in listed["settings"]}
    quality = by_key["jpeg_quality"]
    assert (quality["component"], quality["minimum"], quality["maximum"]) == ("slider", 1, 100)
    assert quality["value"] == quality["default"] == 80
    assert listed["editable"] is False


def test_administrators_change_settings_and_see_the_new_values(studio: Studio) -> None:
    admin = caller(studio, "admin")
    changed = studio.request("PATCH", SETTINGS, json={"jpeg_quality": 71, "unknown": 1}, headers=admin)
    assert changed.json() == {"jpeg_quality": 71}
    assert studio.services.settings.current.jpeg_quality == 71
    for wrong, status in (({"jpeg_quality": 0}, 422), ({"sd_vae": "no such file"}, 404)):
        assert studio.request("PATCH", SETTINGS, json=wrong, headers=admin).status_code == status
    artist = caller(studio, "artist")
    assert studio.request("PATCH", SETTINGS, json={"jpeg_quality": 72}, headers=artist).status_code == 403
    assert studio.services.settings.current.jpeg_quality == 71
