"""The commands in README and docs that no test here runs, each with the reason.

`test_commands.py` refuses a command that is neither run nor listed, and an entry that no page shows any more.
"""

from __future__ import annotations

_REASONS = {
    "the tests run in what it has made": [
        "git clone ADDRESS slimserve",
        "cd slimserve",
        "python3 -m venv .venv",
        ". .venv/bin/activate",
    ],
    "it needs the public archive; test_fetch runs it against a server of its own": [
        "python -m export fetch mobilenet_v1_1.0_224",
        "python -m export --ckpt mobilenet_v1_1.0_224",
        "slimserve classify cat.jpg --model mobilenet_v1",
        "python -m export --ckpt mobilenet_v1_1.0_224 --precision int8 --calibrate photos/ --accept-agreement 60",
        "python -m export fetch deeplabv3_mnv2_pascal_train_aug",
        "python -m export --ckpt deeplabv3_mnv2_pascal_train_aug",
        "slimserve segment street.jpg --model deeplab_mobilenet_v2 -o out --label-map",
        "slimserve evaluate JPEGImages/ --truth SegmentationClass/ --model deeplab_mobilenet_v2",
    ],
    "it needs a training run of the reader's; test_trained_checkpoints exports one": [
        "python -m export inspect train/",
        "python -m export --ckpt train/ --labels names.txt --out models/mine",
        "slimserve evaluate photos/ --truth truth.csv --model mine",
    ],
    "it needs the package index; the tests of the package install in empty environments": [
        "python -m pip install '.[images]'",
        "python -m pip install '.[export]'",
        "python -m pip install '.[ops,engine]'",
        "python -m benchmarks.quality.photographs",
        "pipx run pip-audit --strict --no-deps --disable-pip -r constraints.txt",
    ],
    "it needs the package index; test_other_languages sends the same by what it has": [
        "grpcurl -plaintext -import-path docs/calling/protos -proto serving.proto -d @ localhost:8500 "
        "tensorflow.serving.PredictionService/Predict < request.json",
        "npm install @grpc/grpc-js @grpc/proto-loader",
        "node classify.js cat.jpg",
    ],
    "it is a whole run of its own": [
        "make demo",
        "make test",
        "make lint",
        "make docs",
        "make help",
        "python -m benchmarks --resume",
        "python -m pytest -m soak -s tests/robustness/faults/test_rolling_update_soak.py",
        "python -m pytest -m soak -s tests/robustness/faults/test_stream_soak.py",
        "python -m pytest -m soak -s tests/unit/client/test_client_processes.py",
        "python -m pytest -m soak -s tests/robustness/public_images",
        "python -m tests.robustness.public_models.fetching clones",
        "SLIMSERVE_CLONES=clones python -m pytest -m soak -s tests/robustness/public_models",
        "python -m tests.robustness.public_deployments.fetching clones",
        "SLIMSERVE_CLONES=clones python -m pytest -m soak tests/robustness/public_deployments",
        "python -m pytest -m soak tests/unit/packaging/test_other_tensorflows.py",
        "python -m benchmarks --quick --only served --server ./tensorflow_model_server",
        "python -m benchmarks --server ./tensorflow_model_server",
        "python -m benchmarks --only logits",
    ],
    "it needs tensorflow_model_server; the tests of the contract start engines of their own": [
        "cp -r tests/contract/recorded/models contract-models",
        "cp -r models/vgg_16 contract-models",
        "python -m tests.contract.generated_models contract-models 300",
        "python -m tests.contract.models_config contract-models > models.config",
        "tensorflow_model_server --port=8500 --model_config_file=models.config "
        "--allow_version_labels_for_unavailable_models",
        "SLIMSERVE_SERVER=localhost:8500 SLIMSERVE_MODELS=contract-models "
        "python -m pytest -m 'soak or not soak' tests/contract",
    ],
    "it needs Docker": [
        "DOCKER_HOST=unix:///var/run/docker.sock SLIMSERVE_IMAGE=tensorflow/serving:2.20.0 make docker",
        "docker compose --file serving_config/docker-compose.yml up --detach --wait",
        'docker compose --file serving_config/docker-compose.yml logs | grep -iE "not registered|error"',
        "docker run --rm --entrypoint /usr/bin/tensorflow_model_server tensorflow/serving:2.20.0 --version",
        "docker build --tag registry.example/vgg-16:1 --build-context vgg_16=models/vgg_16 cluster",
        "docker build --tag registry.example/vgg-16:1-2 --build-context vgg_16=models/vgg_16 cluster",
        "docker push registry.example/vgg-16:1",
        "docker push registry.example/vgg-16:1-2",
    ],
    "it needs a cluster": [
        "kubectl apply --kustomize cluster",
        "kubectl apply --kustomize on-a-volume",
        "kubectl apply --filename on-a-volume/kubernetes/models-loader.yaml",
        "kubectl rollout status deployment/serving",
        "kubectl wait --for=condition=Ready pod/serving-loader",
        "kubectl cp models/vgg_16 serving-loader:/models",
        "kubectl cp models/vgg_16/2 serving-loader:/models/vgg_16/.tmp-2",
        "kubectl exec serving-loader -- rm -rf /models/vgg_16/.tmp-2",
        "kubectl exec serving-loader -- mv -T /models/vgg_16/.tmp-2 /models/vgg_16/2",
        "kubectl delete pod serving-loader",
    ],
}
NOT_RUN = {command: reason for reason, commands in _REASONS.items() for command in commands}
