{{- define "mlflow.artifactsDestination" -}}
{{ default "file:///mlflow/artifacts" .Values.mlflow.artifactsDestination }}
{{- end }}

{{/* The URI of the first store that is given: a list of maps with `from` and `uri`. */}}
{{- define "mlflow.storeUri" -}}
{{- $found := false -}}
{{- range . -}}
{{- if not $found -}}
{{- if .from -}}
{{- $found = true -}}
valueFrom:
  secretKeyRef:
{{ toYaml .from.secretKeyRef | indent 4 }}
{{- else if .uri -}}
{{- $found = true -}}
value: {{ .uri | quote }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The database of runs, as the value of an environment variable. */}}
{{- define "mlflow.backendUri" -}}
{{- $values := .Values.mlflow -}}
{{- include "mlflow.storeUri" (list (dict "from" $values.backendStoreUriFrom "uri" $values.backendStoreUri) (dict "uri" "sqlite:////mlflow/mlflow.db")) -}}
{{- end }}

{{- define "mlflow.registryUri" -}}
{{- $values := .Values.mlflow -}}
{{- include "mlflow.storeUri" (list (dict "from" $values.registryStoreUriFrom "uri" $values.registryStoreUri) (dict "from" $values.backendStoreUriFrom "uri" $values.backendStoreUri) (dict "uri" "sqlite:////mlflow/mlflow.db")) -}}
{{- end }}

{{- define "mlflow.replicaUri" -}}
{{- $values := .Values.mlflow -}}
{{- include "mlflow.storeUri" (list (dict "from" $values.readReplicaBackendStoreUriFrom "uri" $values.readReplicaBackendStoreUri)) -}}
{{- end }}
