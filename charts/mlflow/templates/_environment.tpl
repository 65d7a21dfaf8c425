{{/*
The chart's environment with the user's over it: a dict of `chart` (a list as text) and `user` (a
list). A name that is there twice would be refused by the API server, so the user's entry takes the
place of the chart's; what must not change is refused here.
*/}}
{{- define "mlflow.environment" -}}
{{- $user := default list .user -}}
{{- $names := list -}}
{{- $locked := list "MLFLOW_DISABLE_TELEMETRY" "MLFLOW_SERVER_ENABLE_JOB_EXECUTION" "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE" "MLFLOW_BACKEND_STORE_URI" "MLFLOW_READ_REPLICA_BACKEND_STORE_URI" "MLFLOW_REGISTRY_STORE_URI" -}}
{{- range $user -}}
{{- if has .name $locked -}}
{{- fail (printf "env must not set %s: the chart sets it, and URIs of stores have values of their own" .name) -}}
{{- end -}}
{{- if has .name $names -}}
{{- fail (printf "env sets %s twice" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $all := list -}}
{{- range fromYamlArray .chart -}}
{{- if not (has .name $names) -}}
{{- $all = append $all . -}}
{{- end -}}
{{- end -}}
{{- toYaml (concat $all $user) -}}
{{- end }}

{{/* Of the server. */}}
{{- define "mlflow.serverEnvironment" -}}
- name: MLFLOW_DISABLE_TELEMETRY
  value: "true"
- name: MLFLOW_SERVER_ENABLE_JOB_EXECUTION
  value: "false"
- name: MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE
  value: "false"
{{- if .Values.traceArchival.enabled }}
- name: MLFLOW_TRACE_ARCHIVAL_CONFIG
  value: /etc/mlflow/trace-archival.yaml
{{- end }}
- name: MLFLOW_BACKEND_STORE_URI
  {{- include "mlflow.backendUri" . | nindent 2 }}
{{- with include "mlflow.replicaUri" . }}
- name: MLFLOW_READ_REPLICA_BACKEND_STORE_URI
  {{- . | nindent 2 }}
{{- end }}
- name: MLFLOW_REGISTRY_STORE_URI
  {{- include "mlflow.registryUri" . | nindent 2 }}
{{- if eq .Values.mlflow.appName "kubernetes-auth" }}
- name: MLFLOW_K8S_AUTH_AUTHORIZATION_MODE
  value: self_subject_access_review
{{- end }}
- name: MLFLOW_SERVER_CORS_ALLOWED_ORIGINS
  value: {{ include "mlflow.origins" . | quote }}
{{- include "mlflow.workspaceSelector" . }}
{{- include "mlflow.caBundleEnvironment" . }}
{{- end }}

{{/* Of a job that opens the database and knows of workspaces. */}}
{{- define "mlflow.jobEnvironment" -}}
- name: MLFLOW_DISABLE_TELEMETRY
  value: "true"
- name: MLFLOW_BACKEND_STORE_URI
  {{- include "mlflow.backendUri" . | nindent 2 }}
{{- if .Values.mlflow.enableWorkspaces }}
- name: MLFLOW_ENABLE_WORKSPACES
  value: "true"
- name: MLFLOW_WORKSPACE_STORE_URI
  value: {{ .Values.mlflow.workspaceStoreUri | quote }}
{{- end }}
{{- include "mlflow.workspaceSelector" . }}
{{- include "mlflow.caBundleEnvironment" . }}
{{- end }}

{{- define "mlflow.workspaceSelector" -}}
{{- with .Values.mlflow.workspaceLabelSelector }}
- name: MLFLOW_K8S_WORKSPACE_LABEL_SELECTOR
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The names of the Service. */}}
{{- define "mlflow.serviceHosts" -}}
{{- $name := include "mlflow.name" . -}}
{{- $namespace := include "mlflow.namespace" . -}}
{{- list $name (printf "%s.%s" $name $namespace) (printf "%s.%s.svc" $name $namespace) (printf "%s.%s.svc.cluster.local" $name $namespace) | toJson -}}
{{- end }}

{{- define "mlflow.origins" -}}
{{- if .Values.mlflow.corsAllowedOrigins -}}
{{- prepend (default list .Values.mlflow.extraAllowedOrigins) .Values.mlflow.corsAllowedOrigins | join "," -}}
{{- else -}}
{{- $origins := list -}}
{{- range include "mlflow.serviceHosts" . | fromJsonArray -}}
{{- $origins = append $origins (printf "https://%s:%d" . (int $.Values.service.port)) -}}
{{- end -}}
{{- concat $origins (list "localhost:*" "127.0.0.1:*") (default list .Values.mlflow.extraAllowedOrigins) | join "," -}}
{{- end -}}
{{- end }}

{{/*
Hosts: those of the Service, this machine, and private addresses, which probes and scrapes use. They
are patterns of a shell, in which a bracket begins a set: `[[]` is a bracket.
*/}}
{{- define "mlflow.hosts" -}}
{{- if .Values.mlflow.allowedHosts -}}
{{- concat .Values.mlflow.allowedHosts (default list .Values.mlflow.extraAllowedHosts) | join "," -}}
{{- else -}}
{{- $hosts := list "localhost" "localhost:*" "127.0.0.1" "127.0.0.1:*" "[::1]" "[[]::1]:*" "10.*" "192.168.*" -}}
{{- range untilStep 16 32 1 -}}
{{- $hosts = append $hosts (printf "172.%d.*" .) -}}
{{- end -}}
{{- $hosts = concat $hosts (list "[[]fc*" "[[]fd*") -}}
{{- range include "mlflow.serviceHosts" . | fromJsonArray -}}
{{- $hosts = concat $hosts (list . (printf "%s:*" .)) -}}
{{- end -}}
{{- concat $hosts (default list .Values.mlflow.extraAllowedHosts) | join "," -}}
{{- end -}}
{{- end }}

{{/* Of the job that deletes for good. It calls the server, which deletes the artifacts. */}}
{{- define "mlflow.gcEnvironment" -}}
{{- include "mlflow.jobEnvironment" . }}
- name: MLFLOW_TRACKING_URI
  value: {{ include "mlflow.url" . | quote }}
{{- if eq .Values.mlflow.appName "kubernetes-auth" }}
- name: MLFLOW_TRACKING_AUTH
  value: kubernetes
{{- end }}
{{- if include "mlflow.serverCa" . }}
- name: MLFLOW_TRACKING_SERVER_CERT_PATH
  value: {{ printf "/etc/mlflow-ca/%s" .Values.tls.ca.key | quote }}
{{- else }}
- name: MLFLOW_TRACKING_INSECURE_TLS
  # A certificate that each pod made for itself can be checked by nobody.
  value: {{ eq .Values.tls.source "selfSigned" | quote }}
{{- end }}
{{- end }}
