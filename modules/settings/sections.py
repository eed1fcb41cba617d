"""Pages of the settings form, in the order in which they are shown."""

from dataclasses import dataclass

__all__ = [
    "COMPATIBILITY",
    "EXTRA_NETWORKS",
    "FACE_RESTORATION",
    "GALLERY",
    "HIDDEN_OPTIONS",
    "IMG2IMG",
    "INFOTEXT",
    "INTERROGATE",
    "LIVE_PREVIEWS",
    "OPTIMIZATIONS",
    "PATHS_FOR_SAVING",
    "POSTPROCESSING",
    "PROMPT_EDITING",
    "SAMPLER_PARAMETERS",
    "SAVING_IMAGES_GRIDS",
    "SAVING_TO_A_DIRECTORY",
    "STABLE_DIFFUSION",
    "STABLE_DIFFUSION_XL",
    "SYSTEM",
    "TRAINING",
    "UI_ALTERNATIVES",
    "UPSCALING",
    "USER_INTERFACE",
    "VAE",
    "Section",
]


@dataclass(frozen=True)
class Section:
    """One page of the settings form.

    Attributes:
        id: A1111's id of the section.
        title: what the page calls it.
        category: group of sections: "saving", "sd", "ui", "postprocessing", "system", "training";
            "hidden" for options that no page shows.
    """

    id: str
    title: str
    category: str


SAVING_IMAGES_GRIDS = Section("saving-images", "Saving images/grids", "saving")
PATHS_FOR_SAVING = Section("saving-paths", "Paths for saving", "saving")
SAVING_TO_A_DIRECTORY = Section("saving-to-dirs", "Saving to a directory", "saving")
STABLE_DIFFUSION = Section("sd", "Stable Diffusion", "sd")
STABLE_DIFFUSION_XL = Section("sdxl", "Stable Diffusion XL", "sd")
VAE = Section("vae", "VAE", "sd")
IMG2IMG = Section("img2img", "img2img", "sd")
OPTIMIZATIONS = Section("optimizations", "Optimizations", "sd")
COMPATIBILITY = Section("compatibility", "Compatibility", "sd")
SAMPLER_PARAMETERS = Section("sampler-params", "Sampler parameters", "sd")
EXTRA_NETWORKS = Section("extra_networks", "Extra Networks", "sd")
UPSCALING = Section("upscaling", "Upscaling", "postprocessing")
FACE_RESTORATION = Section("face-restoration", "Face restoration", "postprocessing")
POSTPROCESSING = Section("postprocessing", "Postprocessing", "postprocessing")
INTERROGATE = Section("interrogate", "Interrogate", "postprocessing")
PROMPT_EDITING = Section("ui_prompt_editing", "Prompt editing", "ui")
GALLERY = Section("ui_gallery", "Gallery", "ui")
UI_ALTERNATIVES = Section("ui_alternatives", "UI alternatives", "ui")
USER_INTERFACE = Section("ui", "User interface", "ui")
INFOTEXT = Section("infotext", "Infotext", "ui")
LIVE_PREVIEWS = Section("live-previews", "Live previews", "ui")
SYSTEM = Section("system", "System", "system")
TRAINING = Section("training", "Training", "training")
HIDDEN_OPTIONS = Section("hidden", "Hidden options", "hidden")
