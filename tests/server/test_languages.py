from tests.server.studio import Studio


def test_a_language_is_one_json_object(studio: Studio) -> None:
    answer = studio.get("/languages/zh-Hans.json")
    assert answer.json()["Generate"] == "生成"


def test_an_unknown_language_is_not_found(studio: Studio) -> None:
    assert studio.get("/languages/klingon.json").status_code == 404
    assert studio.get("/languages/..%2F..%2Fconfig.json").status_code == 404
