from playwright.sync_api import expect

from tests.browser.studio_page import Studio


def test_the_page_speaks_chinese_and_english_again(studio: Studio) -> None:
    page = studio.page
    studio.write("Generate")
    page.locator("#language").select_option("zh-Hans")
    expect(studio.part("generate")).to_have_text("生成")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    assert studio.text() == "Generate"  # what a user wrote is nobody's to translate
    page.reload()
    expect(studio.part("generate")).to_have_text("生成")
    page.locator("#language").select_option("")
    expect(studio.part("generate")).to_have_text("Generate")
