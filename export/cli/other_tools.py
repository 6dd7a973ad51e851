"""What does here what options of other tools do: slim's and DeepLab's scripts, the Object Detection API, converters."""

from __future__ import annotations

from collections.abc import Mapping

_SAID = {
    "--ckpt CHECKPOINT names the checkpoint": """
        checkpoint checkpoint-path checkpoint-dir checkpoint-file ckpt-path input-checkpoint train-dir train-logdir
        model-dir model-path trained-checkpoint-prefix c""",
    "the network is that of the checkpoint's variables, and --net NETWORK says which is meant": """
        model-name model network net-name arch model-variant""",
    "--out DIR names the model's folder": """
        output-dir output-directory output-path output-file output out-dir o export-dir export-path saved-model-dir
        model-base-path""",
    "leave it out, for the checkpoint's variables say it": """
        num-classes classes depth-multiplier final-endpoint atrous-rates decoder-output-stride""",
    "images of any size are taken, and --crop N is the side of what is classified": """
        image-size eval-image-size train-image-size input-size input-shape crop-size""",
    "no data set is read, and --labels FILE has the class names": """
        labels-file label-file labels-path label-map label-map-path class-names dataset-name dataset-dir""",
    "a background is a class like others, and --labels FILE has its name too": "labels-offset",
    "--preprocessing vgg or inception says how images are prepared": "preprocessing-name",
    "--weights averages takes the moving averages": "moving-average-decay use-ema ema",
    "--precision int8 --calibrate FOLDER exports in 8 bits": "quantize quantization quantize-delay int8 uint8",
    "--precision float16 halves the size, for GPUs": "fp16 half float16",
    "--precision bfloat16 halves the size": "bf16 bfloat16",
    "--precision says in which numbers": "dtype",
    "a request has any number of images up to --max-images N": "batch-size max-batch-size",
    "leave it out, for it is for training": """
        checkpoint-exclude-scopes trainable-scopes is-training dataset-split-name""",
}
OTHER_TOOLS: Mapping[str, str] = {name: said for said, names in _SAID.items() for name in names.split()}
"""By the name of the option, without dashes before it and with dashes in it."""
