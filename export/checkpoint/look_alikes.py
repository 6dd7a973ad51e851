"""Networks that are made of slim's and are others: detectors, DeepLab as it is not exported, another normalization.

Variables beside slim's tell them. To advise on names, as where a layer is called otherwise, would lead astray here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence

from ..networks import NETWORKS

# What is built on features to find boxes, by the names that public trainers give it.
_DETECTORS = (
    (re.compile(r"(^|/)(\w*FeatureExtractor\w*|\w*BoxPredictor\w*)/"), " of the Object Detection API"),
    (
        re.compile(
            r"(^|/)((\w+_)?rpn(_\w+)?|cls_score|bbox_pred|\w*fast_?rcnn\w*|mrcnn_\w+|\w*box_?head|block\d+_box)/"
        ),
        "",
    ),
    (re.compile(r"(^|/)feature_fusion/"), " of text, as EAST,"),
)
_PYRAMID = re.compile(r"(^|/)(aspp0|image_pooling|concat_projection)/")
_SEMANTIC = re.compile(r"(^|/)logits/semantic/")
_OF_NORMALIZATION = ("beta", "gamma", "moving_mean", "moving_variance")
_BATCH_NORMALIZATION = re.compile(r"batch_?norm", re.IGNORECASE)
_OTHER_NORMALIZATION = re.compile(r"(group|instance|layer)_?norm", re.IGNORECASE)


def what_else_it_is(names: Collection[str], own: Collection[str], network: str) -> str:
    """Return what a checkpoint is that has layers of a network but is another, and what to do; "" if nothing tells.

    Args:
        names: what the checkpoint holds.
        own: the names that the network's variables have there, or would have.
        network: what it is called.
    """
    others = sorted(set(names) - set(own))
    return (
        _detector(others, network)
        or ("" if any(map(_PYRAMID.search, own)) else _deeplab(others, network))
        or _normalized(others, names, own, network)
    )


def _detector(others: Sequence[str], network: str) -> str:
    for pattern, kind in _DETECTORS:
        if found := next((name for name in others if pattern.search(name)), None):
            return (
                f"it is a detector{kind} with a {network} inside, as {found} tells, and detectors are not exported; "
                "give a checkpoint of the classifier"
            )
    return ""


def _deeplab(others: Sequence[str], network: str) -> str:
    """Of a backbone that is a classifier's page, without what tells the pages of DeepLab."""
    pyramid = any(_PYRAMID.search(name) for name in others)
    if not pyramid and not any(_SEMANTIC.search(name) for name in others):
        return ""
    beta = any(name.endswith("/conv1_1/weights") for name in others)
    if network.startswith("resnet_") and not beta:
        exported = " and ".join(name for name in NETWORKS if re.fullmatch(r"deeplab_resnet\w+_beta", name))
        return (
            f"it is DeepLab on the plain {network} (--model_variant={network}), which is not exported: of its ResNets "
            f"only the beta variants are, {exported}"
        )
    flag = "" if pyramid else ", trained with aspp_with_batch_norm=false of its train.py"
    return f"it is DeepLab on {network}{'_beta' if beta else ''}{flag}, which is not exported"


def _normalized(others: Sequence[str], names: Collection[str], own: Collection[str], network: str) -> str:
    """Of layers that have another normalization than slim's, or one where slim's have none, or none."""
    there = set(names)
    # By layer; the scope of its normalization.
    normalized = {
        scope.rpartition("/")[0]: scope
        for scope in (name.removesuffix("/moving_mean") for name in own if name.endswith("/moving_mean"))
    }
    lacking = {layer for layer, scope in normalized.items() if f"{scope}/moving_mean" not in there}
    biased = {name.removesuffix("/biases") for name in own if name.endswith("/biases")} - normalized.keys()
    kept: dict[str, set[str]] = defaultdict(set)  # by the scope of a normalization
    for name in others:
        scope, _, leaf = name.rpartition("/")
        if leaf in _OF_NORMALIZATION:
            kept[scope].add(leaf)
    other = [scope for scope in kept if _OTHER_NORMALIZATION.match(scope.rpartition("/")[2])]
    batch = [
        scope
        for scope, leaves in kept.items()
        if "moving_mean" in leaves or _BATCH_NORMALIZATION.match(scope.rpartition("/")[2])
    ]
    if added := _within(batch, biased):
        return (
            f"it was trained with batch normalization ({added}), which slim's {network} has not there: with s = gamma "
            "(1 without) / sqrt(moving_variance + epsilon), save weights * s as weights and beta - moving_mean * s as "
            "biases, and leave it out; or train without it"
        )
    if added := _within(other, biased):
        return (
            f"it was trained with another normalization ({added}), which slim's {network} has not there: train without "
            "it, as weights and biases cannot stand for it"
        )
    if instead := _within(other, lacking):
        return (
            f"it was trained with another normalization in place of batch normalization ({instead}): that is another "
            f"network than slim's {network}, and is not exported"
        )
    if instead := _within([name for name in others if name.endswith("/biases")], lacking):
        return (
            f"it was trained without slim's arg_scope, so with biases in place of batch normalization ({instead}): "
            f"that is another network than slim's {network}; train it within the arg_scope"
        )
    return ""


def _within(scopes: Sequence[str], layers: Collection[str]) -> str:
    """The first of what lies directly below any of these layers, and how many more there are; "" for none."""
    found = [scope for scope in scopes if scope.rpartition("/")[0] in layers]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{found[0]}{more}" if found else ""
