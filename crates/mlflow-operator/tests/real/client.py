# A user's program. It prints one JSON document.
import json
import sys
import tempfile
import time
from pathlib import Path

import mlflow
from mlflow import MlflowClient

client = MlflowClient()
action, *arguments = sys.argv[1:]
if action == "write":
    experiment = client.create_experiment("first")
    run = client.create_run(experiment).info
    client.log_metric(run.run_id, "loss", 0.5)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "notes.txt")
        file.write_text("bytes of an artifact")
        client.log_artifact(run.run_id, str(file))
    client.create_registered_model("model")
    print(json.dumps({"run": run.run_id, "artifacts": run.artifact_uri}))
elif action == "read":
    run = client.get_run(arguments[0])
    with tempfile.TemporaryDirectory() as folder:
        file = client.download_artifacts(run.info.run_id, "notes.txt", folder)
        artifact = Path(file).read_text()
    models = [model.name for model in client.search_registered_models()]
    print(json.dumps({"loss": run.data.metrics["loss"], "artifact": artifact, "models": models}))
elif action == "delete":
    client.delete_run(arguments[0])
    print("null")
elif action == "old-trace":
    mlflow.set_experiment("first")
    started = time.time_ns() - 60 * 24 * 3600 * 10**9
    span = mlflow.start_span_no_context("old", start_time_ns=started, inputs={"question": "why"})
    span.end(end_time_ns=started + 10**9)
    mlflow.flush_trace_async_logging()
    print(json.dumps(span.trace_id))
elif action == "read-trace":
    trace = mlflow.get_trace(arguments[0])
    print(json.dumps(trace.data.spans[0].inputs))
