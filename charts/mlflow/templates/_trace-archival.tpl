{{/* The file that says what is archived. */}}
{{- define "mlflow.archivalConfig" -}}
{{- with .Values.traceArchival -}}
trace_archival:
  enabled: true
  location: {{ .location | quote }}
  retention: {{ .retention | quote }}
  max_traces_per_pass: {{ int64 .maxTracesPerPass }}
  long_retention_allowlist:
    {{- range .longRetentionAllowlist }}
    - {{ . | quote }}
    {{- else }} []
    {{- end }}
{{- end -}}
{{- end }}

{{- define "mlflow.archivalEnvironment" -}}
{{- include "mlflow.jobEnvironment" . }}
- name: MLFLOW_TRACE_ARCHIVAL_CONFIG
  value: /etc/mlflow/trace-archival.yaml
{{- end }}
