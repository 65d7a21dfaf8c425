{{/* The name of Deployment, Service and NetworkPolicy, and the stem of the others. */}}
{{- define "mlflow.name" -}}
{{- if kindIs "string" .Values.resourceSuffix -}}
mlflow{{ .Values.resourceSuffix }}
{{- else if or (eq .Release.Name "mlflow") (hasPrefix "mlflow-" .Release.Name) -}}
{{ .Release.Name }}
{{- else -}}
mlflow-{{ .Release.Name }}
{{- end -}}
{{- end }}

{{/* What the name has after `mlflow`. */}}
{{- define "mlflow.suffix" -}}
{{ include "mlflow.name" . | trimPrefix "mlflow" }}
{{- end }}

{{- define "mlflow.namespace" -}}
{{ default .Release.Namespace .Values.namespace }}
{{- end }}

{{- define "mlflow.serviceAccount" -}}
{{ default (printf "mlflow-sa%s" (include "mlflow.suffix" .)) .Values.serviceAccount.name }}
{{- end }}

{{- define "mlflow.gcServiceAccount" -}}
{{ default (printf "mlflow-gc-sa%s" (include "mlflow.suffix" .)) .Values.garbageCollection.serviceAccount.name }}
{{- end }}

{{- define "mlflow.archivalServiceAccount" -}}
{{ default (printf "mlflow-trace-archival-sa%s" (include "mlflow.suffix" .)) .Values.traceArchival.serviceAccount.name }}
{{- end }}

{{/* ClusterRoles belong to no namespace, so their names hold one. */}}
{{- define "mlflow.clusterRole" -}}
{{ default (printf "%s-%s" (include "mlflow.namespace" .) (include "mlflow.name" .)) .Values.rbac.name }}
{{- end }}

{{- define "mlflow.gcClusterRole" -}}
{{- if .Values.rbac.name -}}
mlflow-gc{{ include "mlflow.suffix" . }}
{{- else -}}
{{ include "mlflow.namespace" . }}-mlflow-gc{{ include "mlflow.suffix" . }}
{{- end -}}
{{- end }}

{{- define "mlflow.claim" -}}
{{ default (printf "mlflow-pvc%s" (include "mlflow.suffix" .)) .Values.storage.existingClaim }}
{{- end }}

{{- define "mlflow.image" -}}
{{- with .Values.image -}}
{{- if .name -}}
{{ .name }}
{{- else -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Image and pull policy of every container. */}}
{{- define "mlflow.containerImage" -}}
image: {{ include "mlflow.image" . | quote }}
{{- with .Values.image.imagePullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{/* Labels of an object: `include "mlflow.labels" (dict "root" . "app" NAME)`. */}}
{{- define "mlflow.labels" -}}
app: {{ .app | quote }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels of pods. The NetworkPolicy finds them by `app.kubernetes.io/instance`. */}}
{{- define "mlflow.podLabels" -}}
{{- $more := default dict .root.Values.podLabels -}}
app: {{ .app | quote }}
app.kubernetes.io/instance: {{ include "mlflow.name" .root | quote }}
{{- range $key, $value := .root.Values.commonLabels }}
{{- if not (hasKey $more $key) }}
{{ $key | quote }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- with $more }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The path in front of all paths, without a slash at its end. */}}
{{- define "mlflow.prefix" -}}
{{ trimSuffix "/" .Values.mlflow.staticPrefix }}
{{- end }}

{{/* Where pods of the cluster find the server. */}}
{{- define "mlflow.url" -}}
https://{{ include "mlflow.name" . }}.{{ include "mlflow.namespace" . }}.svc:{{ int .Values.service.port }}{{ include "mlflow.prefix" . }}
{{- end }}
