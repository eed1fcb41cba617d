"""What is written to disk, where and under which name."""

from typing import Literal

from modules.settings.option import SettingsModel, option
from modules.settings.sections import (
    PATHS_FOR_SAVING,
    SAVING_IMAGES_GRIDS,
    SAVING_TO_A_DIRECTORY,
)

__all__ = ["ImageFormat", "SavingSettings"]
ImageFormat = Literal["png", "jpg", "jpeg", "webp", "avif"]


class SavingSettings(SettingsModel):
    """What is written to disk, where and under which name."""

    samples_save: bool = option(True, "Always save all generated images", SAVING_IMAGES_GRIDS)
    samples_format: ImageFormat = option("png", "File format for images", SAVING_IMAGES_GRIDS)
    samples_filename_pattern: str = option("", "Images filename pattern", SAVING_IMAGES_GRIDS)
    save_images_add_number: bool = option(True, "Add number to filename when saving", SAVING_IMAGES_GRIDS)
    grid_save: bool = option(True, "Always save all generated image grids", SAVING_IMAGES_GRIDS)
    grid_format: ImageFormat = option("png", "File format for grids", SAVING_IMAGES_GRIDS)
    grid_extended_filename: bool = option(
        False, "Add extended info (seed, prompt) to filename when saving grid", SAVING_IMAGES_GRIDS
    )
    grid_only_if_multiple: bool = option(
        True, "Do not save grids consisting of one picture", SAVING_IMAGES_GRIDS
    )
    grid_prevent_empty_spots: bool = option(
        False, "Prevent empty spots in grid (when set to autodetect)", SAVING_IMAGES_GRIDS
    )
    grid_zip_filename_pattern: str = option("", "Archive filename pattern", SAVING_IMAGES_GRIDS)
    n_rows: int = option(
        -1,
        "Grid row count; use -1 for autodetect and 0 for it to be same as batch size",
        SAVING_IMAGES_GRIDS,
        minimum=-1,
        maximum=16,
        step=1,
        soft=True,
    )
    font: str = option("", "Font for image grids that have text", SAVING_IMAGES_GRIDS)
    grid_text_active_color: str = option(
        "#000000", "Text color for image grids", SAVING_IMAGES_GRIDS, component="color"
    )
    grid_text_inactive_color: str = option(
        "#999999", "Inactive text color for image grids", SAVING_IMAGES_GRIDS, component="color"
    )
    grid_background_color: str = option(
        "#ffffff", "Background color for image grids", SAVING_IMAGES_GRIDS, component="color"
    )
    save_images_before_face_restoration: bool = option(
        False, "Save a copy of image before doing face restoration.", SAVING_IMAGES_GRIDS
    )
    save_images_before_highres_fix: bool = option(
        False, "Save a copy of image before applying highres fix.", SAVING_IMAGES_GRIDS, inert=True
    )
    save_images_before_color_correction: bool = option(
        False, "Save a copy of image before applying color correction to img2img results", SAVING_IMAGES_GRIDS
    )
    save_mask: bool = option(False, "For inpainting, save a copy of the greyscale mask", SAVING_IMAGES_GRIDS)
    save_mask_composite: bool = option(False, "For inpainting, save a masked composite", SAVING_IMAGES_GRIDS)
    jpeg_quality: int = option(
        80, "Quality for saved jpeg and avif images", SAVING_IMAGES_GRIDS, minimum=1, maximum=100, step=1
    )
    webp_lossless: bool = option(False, "Use lossless compression for webp images", SAVING_IMAGES_GRIDS)
    export_for_4chan: bool = option(True, "Save copy of large images as JPG", SAVING_IMAGES_GRIDS)
    img_downscale_threshold: float = option(
        4.0, "File size limit for the above option, MB", SAVING_IMAGES_GRIDS
    )
    target_side_length: int = option(
        4000, "Width/height limit for the above option, in pixels", SAVING_IMAGES_GRIDS
    )
    img_max_size_mp: int = option(200, "Maximum image size", SAVING_IMAGES_GRIDS)
    use_original_name_batch: bool = option(
        True, "Use original name for output filename during batch process in extras tab", SAVING_IMAGES_GRIDS
    )
    use_upscaler_name_as_suffix: bool = option(
        False, "Use upscaler name as filename suffix in the extras tab", SAVING_IMAGES_GRIDS
    )
    save_selected_only: bool = option(
        True, "When using 'Save' button, only save a single selected image", SAVING_IMAGES_GRIDS
    )
    save_write_log_csv: bool = option(
        True, "Write log.csv when saving images using 'Save' button", SAVING_IMAGES_GRIDS
    )
    save_init_img: bool = option(
        False, "Save init images when using img2img", SAVING_IMAGES_GRIDS, inert=True
    )
    save_incomplete_images: bool = option(False, "Save incomplete images", SAVING_IMAGES_GRIDS)
    notification_audio: bool = option(
        True, "Play notification sound after image generation", SAVING_IMAGES_GRIDS, restart=True, inert=True
    )
    notification_volume: int = option(
        100, "Notification sound volume", SAVING_IMAGES_GRIDS, minimum=0, maximum=100, step=1, inert=True
    )
    outdir_samples: str = option(
        "", "Output directory for images; if empty, defaults to three directories below", PATHS_FOR_SAVING
    )
    outdir_txt2img_samples: str = option(
        "txt2img-images", "Output directory for txt2img images", PATHS_FOR_SAVING
    )
    outdir_img2img_samples: str = option(
        "img2img-images", "Output directory for img2img images", PATHS_FOR_SAVING
    )
    outdir_extras_samples: str = option(
        "extras-images", "Output directory for images from extras tab", PATHS_FOR_SAVING
    )
    outdir_grids: str = option(
        "", "Output directory for grids; if empty, defaults to two directories below", PATHS_FOR_SAVING
    )
    outdir_txt2img_grids: str = option(
        "txt2img-grids", "Output directory for txt2img grids", PATHS_FOR_SAVING
    )
    outdir_img2img_grids: str = option(
        "img2img-grids", "Output directory for img2img grids", PATHS_FOR_SAVING
    )
    outdir_save: str = option(
        "log/images", "Directory for saving images using the Save button", PATHS_FOR_SAVING
    )
    outdir_init_images: str = option(
        "init-images", "Directory for saving init images when using img2img", PATHS_FOR_SAVING
    )
    save_to_dirs: bool = option(True, "Save images to a subdirectory", SAVING_TO_A_DIRECTORY)
    grid_save_to_dirs: bool = option(True, "Save grids to a subdirectory", SAVING_TO_A_DIRECTORY)
    use_save_to_dirs_for_ui: bool = option(
        False, 'When using "Save" button, save images to a subdirectory', SAVING_TO_A_DIRECTORY
    )
    directories_filename_pattern: str = option("[date]", "Directory name pattern", SAVING_TO_A_DIRECTORY)
    directories_max_prompt_words: int = option(
        8, "Max prompt words for [prompt_words] pattern", SAVING_TO_A_DIRECTORY, minimum=1, maximum=20, step=1
    )
