{{/* Values that the schema takes and that cannot work together. */}}
{{- define "mlflow.check" -}}
{{- $name := include "mlflow.name" . -}}
{{- range $store := list "backendStoreUri" "readReplicaBackendStoreUri" "registryStoreUri" -}}
{{- with index $.Values.mlflow (printf "%sFrom" $store) -}}
{{- if or (empty (.secretKeyRef).name) (empty (.secretKeyRef).key) -}}
{{- fail (printf "mlflow.%sFrom.secretKeyRef must include non-empty 'name' and 'key'" $store) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (or .Values.mlflow.backendStoreUri .Values.mlflow.backendStoreUriFrom .Values.storage.enabled) -}}
{{- fail "mlflow.backendStoreUri or mlflow.backendStoreUriFrom must be set, because storage.enabled is false and SQLite needs a volume" -}}
{{- end -}}
{{- if .Values.mlflow.serveArtifacts -}}
{{- if and (hasPrefix "file://" (include "mlflow.artifactsDestination" .)) (not .Values.storage.enabled) -}}
{{- fail "mlflow.artifactsDestination must name a remote store, because storage.enabled is false; or mlflow.serveArtifacts must be false" -}}
{{- end -}}
{{- else if not .Values.mlflow.defaultArtifactRoot -}}
{{- fail "mlflow.defaultArtifactRoot must be set when mlflow.serveArtifacts is false" -}}
{{- end -}}
{{- range $labels := list "commonLabels" "podLabels" -}}
{{- range $key := list "app" "app.kubernetes.io/instance" -}}
{{- if hasKey (default dict (index $.Values $labels)) $key -}}
{{- fail (printf "%s must not set the label %s: selectors use it" $labels $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.tls.source "certManager") (empty .Values.tls.certManager.issuerRef.name) -}}
{{- fail "tls.certManager.issuerRef.name must be set when tls.source is certManager" -}}
{{- end -}}
{{- if .Values.traceArchival.enabled -}}
{{- range $key := list "schedule" "location" "retention" -}}
{{- if empty (index $.Values.traceArchival $key) -}}
{{- fail (printf "traceArchival.%s is required when traceArchival.enabled is true" $key) -}}
{{- end -}}
{{- end -}}
{{- if and (hasPrefix "file://" .Values.traceArchival.location) (not .Values.storage.enabled) -}}
{{- fail "storage must be enabled when traceArchival.location uses file-based storage (file:// prefix)" -}}
{{- end -}}
{{- end -}}
{{- if gt (len $name) 40 -}}
{{- fail (printf "the name %s is over 40 characters long, too long for what is made of it: choose a shorter release name or resourceSuffix" $name) -}}
{{- end -}}
{{- if and .Values.traceArchival.enabled (gt (len $name) 37) -}}
{{- fail (printf "the name %s is over 37 characters long, too long for a CronJob that archives traces: choose a shorter release name or resourceSuffix" $name) -}}
{{- end -}}
{{- end }}
