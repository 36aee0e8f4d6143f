"""Where the families of transformers come from: the paper that the page of each family in its documentation names."""

from __future__ import annotations

from tubelet.models.spec import Paper

_PAPERS = {
    "videomae": (
        "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre-Training",
        "Zhan Tong, Yibing Song, Jue Wang, Limin Wang",
        2022,
        "2203.12602",
    ),
    "vjepa2": (
        "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction and Planning",
        "Mahmoud Assran, et al.",
        2025,
        "2506.09985",
    ),
    "vit": (
        "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
        "Alexey Dosovitskiy, et al.",
        2020,
        "2010.11929",
    ),
    "dinov2": (
        "DINOv2: Learning Robust Visual Features without Supervision",
        "Maxime Oquab, et al.",
        2023,
        "2304.07193",
    ),
    "dinov3_vit": ("DINOv3", "Oriane Siméoni, et al.", 2025, "2508.10104"),
    "clip": (
        "Learning Transferable Visual Models From Natural Language Supervision",
        "Alec Radford, et al.",
        2021,
        "2103.00020",
    ),
    "siglip": ("Sigmoid Loss for Language Image Pre-Training", "Xiaohua Zhai, et al.", 2023, "2303.15343"),
    "resnet": ("Deep Residual Learning for Image Recognition", "Kaiming He, et al.", 2015, "1512.03385"),
    "convnext": ("A ConvNet for the 2020s", "Zhuang Liu, et al.", 2022, "2201.03545"),
    "swin": (
        "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
        "Ze Liu, et al.",
        2021,
        "2103.14030",
    ),
    "deit": (
        "Training data-efficient image transformers & distillation through attention",
        "Hugo Touvron, et al.",
        2020,
        "2012.12877",
    ),
    "beit": ("BEiT: BERT Pre-Training of Image Transformers", "Hangbo Bao, et al.", 2021, "2106.08254"),
}
_ALIASES = {"clip_vision_model": "clip", "siglip_vision_model": "siglip"}


def paper_of(model_type: str) -> Paper:
    """The paper of a family; of one that is not listed here, the page of its documentation."""
    known = _PAPERS.get(_ALIASES.get(model_type, model_type))
    page = f"https://huggingface.co/docs/transformers/model_doc/{model_type}"
    if known is None:
        return Paper(
            f"{model_type}, in Hugging Face transformers", "Hugging Face transformers", 0, "", "its documentation", page
        )
    title, authors, year, arxiv = known
    return Paper(title, authors, year, arxiv, f"as transformers has it ({model_type})")
