"""Reads model `llama` with the model registry's own client: HOST PORT; prints JSON."""

import json
import sys

from model_registry import ModelRegistry

host, port = sys.argv[1:]
registry = ModelRegistry(
    f"http://{host}", port=int(port), author="reader", is_secure=False, user_token="token"
)
model = registry.get_registered_model("llama")
version = registry.get_model_version("llama", "v1")
artifact = registry.get_model_artifact("llama", "v1")
print(
    json.dumps(
        {
            "model": [model.id, model.name, model.owner, model.state.value],
            "team": model.custom_properties["team"],
            "version": [version.id, version.name, version.author, version.state.value],
            "artifact": [artifact.id, artifact.name, artifact.uri, artifact.state.value],
            "format": [artifact.model_format_name, artifact.model_format_version],
            "digest": artifact.custom_properties["image_digest"],
        }
    )
)
