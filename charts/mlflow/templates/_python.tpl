{{/* A shell that finds the Python that MLflow is installed for, which need not be the first on the path: */}}
{{/* the one that the program `mlflow` begins with, or the first that knows MLflow. What follows are its arguments. */}}
{{- define "mlflow.findPython" -}}
read -r first < "$(command -v mlflow)" || first=
for python in "${first#??}" python3 python python3.14 python3.13 python3.12 python3.11 python3.10; do
  if "$python" -c 'import importlib.util as i, sys; sys.exit(not i.find_spec("mlflow"))' 2> /dev/null; then
    exec "$python" "$@"
  fi
done
echo "the image has no Python with MLflow" | tee /dev/termination-log >&2
exit 10
{{- end }}

{{- define "mlflow.python" -}}
command:
  - /bin/sh
  - -ec
  - |
    {{- include "mlflow.findPython" . | nindent 4 }}
  - python
{{- end }}
