"""The page: previews, gallery, prompt editing, what pasted metadata may change."""

from typing import Literal

from modules.settings.option import SettingsModel, option
from modules.settings.sections import (
    EXTRA_NETWORKS,
    GALLERY,
    INFOTEXT,
    LIVE_PREVIEWS,
    PROMPT_EDITING,
    UI_ALTERNATIVES,
    USER_INTERFACE,
)

__all__ = ["InterfaceSettings"]


class InterfaceSettings(SettingsModel):
    """The page: previews, gallery, prompt editing, what pasted metadata may change."""

    keyedit_precision_attention: float = option(
        0.1,
        "Precision for (attention:1.1) when editing the prompt with Ctrl+up/down",
        PROMPT_EDITING,
        minimum=0.01,
        maximum=0.2,
        step=0.001,
        soft=True,
    )
    keyedit_precision_extra: float = option(
        0.05,
        "Precision for <extra networks:0.9> when editing the prompt with Ctrl+up/down",
        PROMPT_EDITING,
        minimum=0.01,
        maximum=0.2,
        step=0.001,
        soft=True,
    )
    keyedit_delimiters: str = option(
        ".,\\/!?%^*;:{}=`~() ", "Word delimiters when editing the prompt with Ctrl+up/down", PROMPT_EDITING
    )
    keyedit_delimiters_whitespace: tuple[str, ...] = option(
        ("Tab", "Carriage Return", "Line Feed"), "Ctrl+up/down whitespace delimiters", PROMPT_EDITING
    )
    keyedit_move: bool = option(True, "Alt+left/right moves prompt elements", PROMPT_EDITING)
    disable_token_counters: bool = option(False, "Disable prompt token counters", PROMPT_EDITING)
    include_styles_into_token_counters: bool = option(True, "Count tokens of enabled styles", PROMPT_EDITING)
    return_grid: bool = option(True, "Show grid in gallery", GALLERY)
    do_not_show_images: bool = option(False, "Do not show any images in gallery", GALLERY, inert=True)
    js_modal_lightbox: bool = option(True, "Full page image viewer: enable", GALLERY, inert=True)
    js_modal_lightbox_initially_zoomed: bool = option(
        True, "Full page image viewer: show images zoomed in by default", GALLERY, inert=True
    )
    gallery_height: str = option("", "Gallery height", GALLERY, restart=True, inert=True)
    open_dir_button_choice: Literal["Output Root", "Subdirectory", "Subdirectory (even temp dir)"] = option(
        "Subdirectory", "What directory the [📂] button opens", GALLERY, inert=True
    )
    samplers_in_dropdown: bool = option(
        True,
        "Use dropdown for sampler selection instead of radio group",
        UI_ALTERNATIVES,
        restart=True,
        inert=True,
    )
    sd_checkpoint_dropdown_use_short: bool = option(
        False, "Checkpoint dropdown: use filenames without paths", UI_ALTERNATIVES, inert=True
    )
    hires_fix_show_sampler: bool = option(
        False,
        "Hires fix: show hires checkpoint and sampler selection",
        UI_ALTERNATIVES,
        restart=True,
        inert=True,
    )
    hires_fix_show_prompts: bool = option(
        False, "Hires fix: show hires prompt and negative prompt", UI_ALTERNATIVES, restart=True, inert=True
    )
    interrupt_after_current: bool = option(True, "Don't Interrupt in the middle", UI_ALTERNATIVES, inert=True)
    localization: str = option("None", "Localization", USER_INTERFACE, restart=True)
    quicksettings_list: tuple[str, ...] = option(
        ("sd_model_checkpoint",), "Quicksettings list", USER_INTERFACE, restart=True
    )
    ui_tab_order: tuple[str, ...] = option((), "UI tab order", USER_INTERFACE, restart=True)
    hidden_tabs: tuple[str, ...] = option((), "Hidden UI tabs", USER_INTERFACE, restart=True)
    ui_reorder_list: tuple[str, ...] = option(
        (), "UI item order for txt2img/img2img tabs", USER_INTERFACE, restart=True, inert=True
    )
    show_progress_in_title: bool = option(True, "Show generation progress in window title.", USER_INTERFACE)
    send_seed: bool = option(
        True, "Send seed when sending prompt or image to other interface", USER_INTERFACE
    )
    send_size: bool = option(
        True, "Send size when sending prompt or image to another interface", USER_INTERFACE
    )
    show_progressbar: bool = option(True, "Show progressbar", LIVE_PREVIEWS, inert=True)
    live_previews_enable: bool = option(True, "Show live previews of the created image", LIVE_PREVIEWS)
    live_previews_image_format: Literal["jpeg", "png", "webp"] = option(
        "jpeg", "Live preview file format", LIVE_PREVIEWS
    )
    show_progress_grid: bool = option(
        True, "Show previews of all images generated in a batch as a grid", LIVE_PREVIEWS
    )
    show_progress_every_n_steps: int = option(
        1, "Live preview display period", LIVE_PREVIEWS, minimum=-1, maximum=32, step=1
    )
    show_progress_type: Literal["Full", "Approx NN", "Approx cheap", "TAESD"] = option(
        "Approx cheap", "Live preview method", LIVE_PREVIEWS
    )
    live_preview_content: Literal["Combined", "Prompt", "Negative prompt"] = option(
        "Prompt", "Live preview subject", LIVE_PREVIEWS
    )
    live_preview_refresh_period: int = option(250, "Progressbar and preview update period", LIVE_PREVIEWS)
    live_preview_fast_interrupt: bool = option(
        False, "Return image with chosen live preview method on interrupt", LIVE_PREVIEWS
    )
    enable_pnginfo: bool = option(True, "Write infotext to metadata of the generated image", INFOTEXT)
    save_txt: bool = option(False, "Create a text file with infotext next to every generated image", INFOTEXT)
    add_model_name_to_info: bool = option(True, "Add model name to infotext", INFOTEXT)
    add_model_hash_to_info: bool = option(True, "Add model hash to infotext", INFOTEXT)
    add_vae_name_to_info: bool = option(True, "Add VAE name to infotext", INFOTEXT)
    add_vae_hash_to_info: bool = option(True, "Add VAE hash to infotext", INFOTEXT)
    add_user_name_to_info: bool = option(False, "Add user name to infotext when authenticated", INFOTEXT)
    add_version_to_infotext: bool = option(True, "Add program version to infotext", INFOTEXT)
    disable_weights_auto_swap: bool = option(
        True, "Disregard checkpoint information from pasted infotext", INFOTEXT
    )
    infotext_skip_pasting: tuple[str, ...] = option((), "Disregard fields from pasted infotext", INFOTEXT)
    infotext_styles: Literal["Ignore", "Apply", "Discard", "Apply if any"] = option(
        "Apply if any", "Infer styles from prompts of pasted infotext", INFOTEXT
    )
    extra_networks_show_hidden_directories: bool = option(True, "Show hidden directories", EXTRA_NETWORKS)
    extra_networks_hidden_models: Literal["Always", "When searched", "Never"] = option(
        "When searched", "Show cards for models in hidden directories", EXTRA_NETWORKS
    )
    extra_networks_default_multiplier: float = option(
        1.0,
        "Default multiplier for extra networks",
        EXTRA_NETWORKS,
        minimum=0.0,
        maximum=2.0,
        step=0.01,
        soft=True,
    )
    extra_networks_card_width: int = option(0, "Card width for Extra Networks", EXTRA_NETWORKS)
    extra_networks_card_height: int = option(0, "Card height for Extra Networks", EXTRA_NETWORKS)
    extra_networks_card_text_scale: float = option(
        1.0, "Card text scale", EXTRA_NETWORKS, minimum=0.0, maximum=2.0, step=0.01
    )
    extra_networks_card_show_desc: bool = option(True, "Show description on card", EXTRA_NETWORKS)
    extra_networks_card_order_field: Literal["Path", "Name", "Date Created", "Date Modified"] = option(
        "Path", "Default order field for Extra Networks cards", EXTRA_NETWORKS, restart=True
    )
    extra_networks_card_order: Literal["Ascending", "Descending"] = option(
        "Ascending", "Default order for Extra Networks cards", EXTRA_NETWORKS, restart=True
    )
    extra_networks_add_text_separator: str = option(" ", "Extra networks separator", EXTRA_NETWORKS)
    textual_inversion_add_hashes_to_infotext: bool = option(
        True, "Add Textual Inversion hashes to infotext", EXTRA_NETWORKS
    )
    sd_hypernetwork: str = option("None", "Add hypernetwork to prompt", EXTRA_NETWORKS)
    sd_lora: str = option("None", "Add network to prompt", EXTRA_NETWORKS)
    lora_preferred_name: Literal["Alias from file", "Filename"] = option(
        "Alias from file", "When adding to prompt, refer to Lora by", EXTRA_NETWORKS
    )
    lora_add_hashes_to_infotext: bool = option(True, "Add Lora hashes to infotext", EXTRA_NETWORKS)
    lora_bundled_ti_to_infotext: bool = option(
        True, "Add Lora name as TI hashes for bundled Textual Inversion", EXTRA_NETWORKS
    )
    lora_show_all: bool = option(False, "Always show all networks on the Lora page", EXTRA_NETWORKS)
    lora_in_memory_limit: int = option(
        0, "Number of Lora networks to keep cached in memory", EXTRA_NETWORKS, inert=True
    )
