import pytest

from modules.training.finetuning.buckets import bucket_sizes, fit_picture, nearest_bucket


@pytest.mark.parametrize(("resolution", "step"), [(512, 64), (256, 64), (1024, 64), (64, 64), (48, 64)])
def test_every_bucket_has_about_the_pixels_of_the_square(resolution: int, step: int) -> None:
    sizes = bucket_sizes(resolution, step)
    assert sizes[0] == (resolution, resolution)
    for width, height in sizes[1:]:
        assert width % step == height % step == 0
        assert resolution**2 * 0.6 < width * height <= resolution**2
        assert 0.25 <= width / height <= 4
    assert {size[::-1] for size in sizes} == set(sizes)


def test_a_picture_goes_where_its_shape_fits_best() -> None:
    sizes = bucket_sizes(512, 64)
    assert nearest_bucket(4000, 4100, sizes) == (512, 512)
    width, height = nearest_bucket(1920, 1080, sizes)
    assert abs(width / height - 16 / 9) < 0.35


@pytest.mark.parametrize(("width", "height"), [(1000, 500), (33, 77), (640, 640), (5000, 40)])
def test_a_fitted_picture_covers_its_bucket(width: int, height: int) -> None:
    fit = fit_picture(width, height, (512, 448))
    assert fit.scaled[0] >= 512
    assert fit.scaled[1] >= 448
    assert min(fit.scaled[0] - 512, fit.scaled[1] - 448) <= 1
    assert 0 <= fit.scaled[0] - 512 - 2 * fit.left <= 1
