"""Faults to plant in the shipped deployment, and what `check` says of each."""

from typing import NamedTuple

MODELS, BATCHING, COMPOSE, DEPLOYMENT = (
    "models.config",
    "batching.config",
    "docker-compose.yml",
    "kubernetes/deployment.yaml",
)


class Fault(NamedTuple):
    """In `file`, `old` becomes `new`; `check` must say `message` on the line where `new` begins."""

    name: str
    file: str
    old: str
    new: str
    message: str


FAULTS = [
    # models.config
    Fault(
        "unknown field",
        MODELS,
        "base_path:",
        "base_pth:",
        "ModelConfig has no field base_pth, did you mean base_path?",
    ),
    Fault(
        "wrong type", MODELS, "versions: 1", 'versions: "one"', "versions is 'one', give it a whole number"
    ),
    Fault(
        "number for a string", MODELS, 'name: "vgg_16"', "name: 16", "name is 16, give it a string in quotes"
    ),
    Fault("unclosed brace", MODELS, "specific {", "specific", "expected `:` or `{` after specific"),
    Fault("field set twice", MODELS, 'name: "vgg_16"', 'name: "a"\n    name: "vgg_16"', "name already is"),
    Fault(
        "two policies",
        MODELS,
        "specific {",
        "latest { num_versions: 1 } specific {",
        "specific is set although latest",
    ),
    Fault(
        "base path missing",
        MODELS,
        '"/models/vgg_16"',
        '"/models/vgg16"',
        "base_path /models/vgg16 does not exist",
    ),
    Fault(
        "base path relative",
        MODELS,
        '"/models/vgg_16"',
        '"models/vgg_16"',
        "base_path models/vgg_16 is relative",
    ),
    Fault(
        "version missing",
        MODELS,
        "versions: 1",
        "versions: 1 versions: 7",
        "version 7 is not in /models/vgg_16",
    ),
    Fault(
        "label on a missing version", MODELS, '"canary" value: 1', '"canary" value: 9', "which is not there"
    ),
    Fault(
        "label beside the policy",
        MODELS,
        '"canary" value: 1',
        '"canary" value: 2',
        "which the policy does not load",
    ),
    Fault("no platform", MODELS, 'model_platform: "tensorflow"', "", "has no model_platform"),
    Fault("unknown platform", MODELS, '"tensorflow"', '"pytorch"', "model_platform is 'pytorch'"),
    Fault(
        "incomplete version",
        MODELS,
        "versions: 1",
        "versions: 3",
        "version 3 is incomplete, no saved_model.pb",
    ),
    Fault("unreadable version", MODELS, "versions: 1", "versions: 4", "version 4 is not readable by others"),
    # batching.config, monitoring.config
    Fault(
        "last size is not the largest",
        BATCHING,
        "size { value: 8 }",
        "size { value: 16 }",
        "last of allowed_batch_sizes is 8",
    ),
    Fault(
        "value for a message", BATCHING, "size { value: 8 }", "size: 8", "write max_batch_size { value: 8 }"
    ),
    Fault(
        "no batch thread", BATCHING, "threads { value: 1 }", "threads { value: 0 }", "num_batch_threads is 0"
    ),
    Fault("padding", BATCHING, "inputs: false", "inputs: true", "pad_variable_length_inputs is on"),
    Fault(
        "word for a boolean",
        "monitoring.config",
        "enable: true",
        "enable: yes",
        "enable is yes, give it true or false",
    ),
    Fault("relative metrics path", "monitoring.config", '"/monitoring', '"monitoring', "begin it with /"),
    # server flags
    Fault(
        "unknown flag",
        COMPOSE,
        "--enable_profiler=false",
        "--enable_profling=false",
        "no flag --enable_profling",
    ),
    Fault(
        "wrong flag type",
        COMPOSE,
        "--grpc_max_threads=17",
        "--grpc_max_threads=many",
        "give it a whole number",
    ),
    Fault(
        "boolean flag as number",
        COMPOSE,
        "enable_profiler=false",
        "enable_profiler=2",
        "give it true or false",
    ),
    Fault(
        "flag and value apart", COMPOSE, "--port=8500", "--port=8500\n      - '8500'", "8500 is not a flag"
    ),
    Fault(
        "labels not allowed",
        COMPOSE,
        "models=true",
        "models=false",
        "labels on versions that are not loaded yet",
    ),
    Fault(
        "batching file without batching",
        COMPOSE,
        "--num_load_threads=1",
        "--batching_parameters_file=/config/batching.config",
        "without --enable_batching",
    ),
    Fault(
        "one port twice",
        COMPOSE,
        "rest_api_port=8501",
        "rest_api_port=8500",
        "--port and --rest_api_port are the same",
    ),
    Fault(
        "bad channel argument", COMPOSE, "without_calls=1,", "without_calls,", "the server crashes at start"
    ),
    Fault(
        "config not mounted",
        COMPOSE,
        "=/config/monitoring.config",
        "=/etc/monitoring.config",
        "nothing puts /etc/monit",
    ),
    # compose
    Fault("YAML", COMPOSE, "    init: true", "   init: true", "not valid YAML"),
    Fault("unknown compose key", COMPOSE, "restart: unless", "restrt: unless", "restrt"),
    Fault(
        "open port", COMPOSE, '"127.0.0.1:${GRPC_PORT', '"${GRPC_PORT', "open to other machines without TLS"
    ),
    Fault("published port not served", COMPOSE, "-8500}:8500", "-8500}:9000", "serving publishes port 9000"),
    Fault(
        "health check port", COMPOSE, "/127.0.0.1/8501", "/127.0.0.1/8080", "the health check asks port 8080"
    ),
    Fault("health check model", COMPOSE, "/v1/models/vgg_16", "/v1/models/vgg", "asks for the model vgg,"),
    Fault(
        "base path not mounted",
        COMPOSE,
        "target: /models/vgg_16",
        "target: /data",
        "nothing puts /models/vgg_16",
    ),
    Fault(
        "mounted file missing",
        COMPOSE,
        "source: ./models.config",
        "source: ./model.config",
        "model.config is not there",
    ),
    Fault(
        "models writable",
        COMPOSE,
        "target: /models/vgg_16\n        read_only: true",
        "target: /models/vgg_16",
        "writable",
    ),
    Fault(
        "entry point script",
        COMPOSE,
        'entrypoint: ["/usr/bin/tensorflow_model_server"]\n    init: true',
        "",
        "as process 1 the image's entry point script ignores SIGTERM",
    ),
    Fault("no init", COMPOSE, "init: true", "init: false", "as process 1 the server ignores SIGTERM"),
    Fault("image without version", COMPOSE, "serving:2.20.0\n", "serving\n", "has no version"),
    # Dockerfile
    Fault("root image", "Dockerfile", "USER 65532:65532", "USER root", "the server runs as root"),
    Fault(
        "configuration not copied",
        "Dockerfile",
        "models.config monitoring",
        "monitoring",
        "nothing puts /config/models",
    ),
    # Kubernetes
    Fault("unknown Kubernetes field", DEPLOYMENT, "minReadySeconds", "minReadySecond", "minReadySecond"),
    Fault(
        "wrong Kubernetes type",
        DEPLOYMENT,
        "failureThreshold: 60",
        'failureThreshold: "60"',
        "failureThreshold",
    ),
    Fault(
        "probe port",
        DEPLOYMENT,
        "grpc:\n              port: 8500",
        "grpc:\n              port: 8501",
        "asks port 8501",
    ),
    Fault("container port", DEPLOYMENT, "containerPort: 8501", "containerPort: 8080", "containerPort 8080"),
    Fault(
        "no health service",
        DEPLOYMENT,
        "healthcheck_service=true",
        "healthcheck_service=false",
        "without the health service",
    ),
    Fault("drain longer than grace", DEPLOYMENT, '["sleep", "75"]', '["sleep", "120"]', "killed after 90 s"),
    Fault(
        "gRPC probe of a TLS server",
        DEPLOYMENT,
        "--num_load_threads=1",
        "--ssl_config_file=/config/monitoring.config",
        "gRPC probes cannot do TLS",
    ),
    Fault(
        "no drain", DEPLOYMENT, "preStop:", "postStart:", "SIGTERM ends the server with its calls in flight"
    ),
    Fault(
        "fewest above most replicas",
        "kubernetes/autoscaler.yaml",
        "minReplicas: 2",
        "minReplicas: 8",
        "minReplicas 8 is above maxReplicas 6",
    ),
    Fault("capacity dropped", DEPLOYMENT, "maxUnavailable: 0", "maxUnavailable: 1", "takes replicas away"),
    Fault(
        "process 1",
        DEPLOYMENT,
        "shareProcessNamespace: true",
        "hostIPC: false",
        "as process 1 the server ignores",
    ),
    Fault(
        "ConfigMap of another name",
        DEPLOYMENT,
        "name: serving-config",
        "name: config",
        "no kustomization generates",
    ),
    Fault(
        "volume missing",
        DEPLOYMENT,
        "- name: tmp\n              mount",
        "- name: temp\n              mount",
        "the volume temp,",
    ),
    Fault(
        "replicas beside an autoscaler",
        DEPLOYMENT,
        "minReadySeconds: 10",
        "replicas: 3",
        "replicas beside an autoscaler",
    ),
    Fault(
        "autoscaler's target",
        "kubernetes/autoscaler.yaml",
        "Deployment\n    name: serving",
        "Deployment\n    name: web",
        "target web",
    ),
    Fault(
        "target port",
        "kubernetes/service.yaml",
        "targetPort: grpc",
        "targetPort: http",
        "targetPort http is no port",
    ),
    Fault(
        "selector",
        "kubernetes/service.yaml",
        "selector:\n    app.kubernetes.io/name: serving",
        "selector:\n    app: x",
        "selects no",
    ),
    Fault("unknown kind", "kubernetes/service.yaml", "kind: Service", "kind: Servce", "no Servce in v1"),
    Fault(
        "resource missing",
        "kustomization.yaml",
        "kubernetes/service.yaml",
        "kubernetes/svc.yaml",
        "kubernetes/svc.yaml is not",
    ),
    Fault(
        "ConfigMap's file missing",
        "kustomization.yaml",
        "- models.config",
        "- model.config",
        "names model.config",
    ),
    Fault("kustomization field", "kustomization.yaml", "resources:", "resource:", "did you mean resources?"),
]
