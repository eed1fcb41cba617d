import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from modules.domain.principal import Principal
from modules.domain.request import GenerationRequest
from tests.server.studio import Studio

HISTORY = "/api/v1/history"


def session(studio: Studio, name: str) -> dict[str, str]:
    cookie = studio.access.accounts.open_session(Principal(name, "artist"))
    return {"cookie": f"{studio.access.cookie}={cookie}"}


@pytest.fixture
def ann(studio: Studio) -> dict[str, str]:
    """Headers of Ann, who has made two pictures of fruit."""
    for seed, prompt in enumerate(("a red apple, on a table", "a green apple, on a table, rim light"), 7):
        job_id = studio.services.jobs.submit(GenerationRequest(prompt=prompt, seed=seed, steps=1), "ann")
        studio.services.jobs.wait(job_id, 30)
    return session(studio, "ann")


def listed(studio: Studio, headers: dict[str, str], **query: object) -> list[dict[str, Any]]:
    answer = studio.get(HISTORY, headers=headers, params=query)
    assert answer.status_code == 200
    return list(answer.json()["pictures"])


def ids(studio: Studio, headers: dict[str, str], **query: object) -> list[str]:
    return [picture["id"] for picture in listed(studio, headers, **query)]


def test_what_was_made_is_listed_newest_first_and_searched(studio: Studio, ann: dict[str, str]) -> None:
    pictures = listed(studio, ann)
    assert [picture["prompt"] for picture in pictures] == [
        "a green apple, on a table, rim light",
        "a red apple, on a table",
    ]
    assert [picture["prompt"][:5] for picture in listed(studio, ann, q="apple -green")] == ["a red"]
    assert ids(studio, ann, q="seed:8") == [pictures[0]["id"]]
    assert studio.get(pictures[0]["url"], headers=ann).content.startswith(b"\x89PNG")


def test_a_list_goes_on_where_its_cursor_points(studio: Studio, ann: dict[str, str]) -> None:
    first = studio.get(HISTORY, headers=ann, params={"limit": 1}).json()
    second = studio.get(HISTORY, headers=ann, params={"limit": 1, "cursor": first["cursor"]}).json()
    assert (first["total"], second["total"], second["cursor"]) == (2, None, None)
    assert {first["pictures"][0]["id"], second["pictures"][0]["id"]} == set(ids(studio, ann))
    wrong = studio.get(HISTORY, headers=ann, params={"cursor": "nowhere"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "cursor")


def test_one_picture_says_all_that_is_known_of_it(studio: Studio, ann: dict[str, str]) -> None:
    picture = studio.get(f"{HISTORY}/{ids(studio, ann)[0]}", headers=ann).json()
    assert picture["prompt"] == "a green apple, on a table, rim light"
    assert {"name": "Seed", "value": "8"} in picture["parameters"]
    assert picture["infotext"].endswith("Seed: 8")
    assert (picture["tags"], picture["parents"], picture["children"]) == ([], [], [])


def test_relatives_are_named_on_both_sides(studio: Studio, ann: dict[str, str]) -> None:
    source = ids(studio, ann)[0]
    upload = studio.request(
        "POST", "/api/v1/pictures", headers=ann, content=studio.get(f"/files/{source}", headers=ann).content
    )
    request = {"prompt": "again", "steps": 1, "seed": 1, "image_to_image": {"images": [upload.json()["id"]]}}
    job_id = studio.post("/api/v1/jobs", request, headers=ann).json()["id"]
    child = studio.services.jobs.wait(job_id, 30).images[0].id
    parents = studio.get(f"{HISTORY}/{child}", headers=ann).json()["parents"]
    children = studio.get(f"{HISTORY}/{source}", headers=ann).json()["children"]
    assert ([one["id"] for one in parents], [one["id"] for one in children]) == ([source], [child])


def test_two_pictures_are_compared_word_by_word(studio: Studio, ann: dict[str, str]) -> None:
    second, first = ids(studio, ann)
    answer = studio.get(f"{HISTORY}/compare", headers=ann, params={"first": first, "second": second}).json()
    assert [(run["kind"], run["text"]) for run in answer["prompt"] if run["kind"] != "same"] == [
        ("removed", "red "),
        ("added", "green "),
        ("added", ", rim light"),
    ]
    changed = [pair for pair in answer["parameters"] if pair["changed"]]
    assert changed == [{"name": "Seed", "first": "7", "second": "8", "changed": True}]


def test_stars_and_tags_are_given_to_several_at_once(studio: Studio, ann: dict[str, str]) -> None:
    both = ids(studio, ann)
    assert studio.post(f"{HISTORY}/star", {"ids": both, "starred": True}, headers=ann).json() == {"count": 2}
    studio.post(f"{HISTORY}/tag", {"ids": both, "add": ["fruit", "best"]}, headers=ann)
    studio.post(f"{HISTORY}/tag", {"ids": both[:1], "remove": ["best"]}, headers=ann)
    assert ids(studio, ann, q="is:starred tag:fruit -tag:best") == both[:1]
    assert studio.get(f"{HISTORY}/tags", headers=ann).json() == [
        {"tag": "fruit", "count": 2},
        {"tag": "best", "count": 1},
    ]
    refused = studio.post(f"{HISTORY}/tag", {"ids": both, "add": ["x" * 100]}, headers=ann)
    assert (refused.status_code, refused.json()["field"]) == (422, "tags")


def test_a_picture_goes_into_the_bin_and_comes_back(studio: Studio, ann: dict[str, str]) -> None:
    one, other = ids(studio, ann)
    assert studio.post(f"{HISTORY}/delete", {"ids": [one]}, headers=ann).json() == {"count": 1}
    assert (ids(studio, ann), ids(studio, ann, bin=True)) == ([other], [one])
    assert studio.get(f"/files/{one}", headers=ann).status_code == 200  # its owner still sees it in the bin
    assert studio.post(f"{HISTORY}/restore", {"ids": [one]}, headers=ann).json() == {"count": 1}
    assert ids(studio, ann) == [one, other]
    studio.post(f"{HISTORY}/delete", {"ids": [one]}, headers=ann)
    assert studio.post(f"{HISTORY}/empty-bin", headers=ann).json() == {"count": 1}
    assert ids(studio, ann, bin=True) == []
    assert studio.get(f"/files/{one}", headers=ann).status_code == 404
    assert len(list(studio.services.options.folders.outputs.rglob("*.png"))) == 1


def test_thumbnails_are_small_and_kept_by_the_browser(studio: Studio, ann: dict[str, str]) -> None:
    answer = studio.get(f"{HISTORY}/{ids(studio, ann)[0]}/thumbnail", headers=ann)
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]
    assert "sandbox" in answer.headers["content-security-policy"]
    with Image.open(io.BytesIO(answer.content)) as small:
        assert max(small.size) <= 448


def test_a_file_that_was_deleted_by_hand_is_not_found(studio: Studio, ann: dict[str, str]) -> None:
    one = ids(studio, ann)[0]
    Path(studio.services.jobs.image(one, "ann").image.path).unlink()
    answer = studio.get(f"{HISTORY}/{one}/thumbnail", headers=ann)
    assert (answer.status_code, answer.json()["detail"]) == (404, "the picture's file is gone")
    studio.post(f"{HISTORY}/delete", {"ids": [one]}, headers=ann)
    assert one not in ids(studio, ann) + ids(studio, ann, bin=True)


def requests_for(one: str, other: str) -> list[tuple[str, str, object]]:
    return [
        ("GET", f"{HISTORY}/{one}", None),
        ("GET", f"{HISTORY}/{one}/thumbnail", None),
        ("GET", f"{HISTORY}/compare?first={other}&second={one}", None),
        ("POST", f"{HISTORY}/star", {"ids": [other, one], "starred": True}),
        ("POST", f"{HISTORY}/tag", {"ids": [other, one], "add": ["mine"]}),
        ("POST", f"{HISTORY}/delete", {"ids": [other, one]}),
        ("POST", f"{HISTORY}/restore", {"ids": [other, one]}),
    ]


def test_for_everybody_else_the_pictures_do_not_exist(studio: Studio, ann: dict[str, str]) -> None:
    job_id = studio.services.jobs.submit(GenerationRequest(prompt="bob's", seed=1, steps=1), "bob")
    own = studio.services.jobs.wait(job_id, 30).images[0].id
    bob, before = session(studio, "bob"), ids(studio, ann)

    async def story(client: httpx.AsyncClient) -> list[int]:
        answers = []
        for one in (before[0], "unknown-picture"):
            for method, path, body in requests_for(one, own):
                answers.append((await client.request(method, path, json=body, headers=bob)).status_code)
        return answers

    assert set(studio.run(story)) == {404}
    assert ids(studio, bob) == [own]
    assert ids(studio, bob, q="is:starred") == ids(studio, bob, q="tag:mine") == []
    assert ids(studio, ann) == before
    studio.post(f"{HISTORY}/empty-bin", headers=bob)
    assert ids(studio, ann) == before
    assert studio.get(HISTORY).status_code == 401


@pytest.mark.parametrize(
    "body", [{}, {"ids": []}, {"ids": "x"}, {"ids": [1], "starred": True}, {"ids": ["a"], "starred": "maybe"}]
)
def test_a_body_that_makes_no_sense_is_refused(studio: Studio, ann: dict[str, str], body: object) -> None:
    assert studio.post(f"{HISTORY}/star", body, headers=ann).status_code == 422
