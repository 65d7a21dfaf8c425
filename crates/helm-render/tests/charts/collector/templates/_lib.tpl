{{- define "collector.name" }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}

{{- define "collector.metadata" -}}
{{- $suffix := .suffix | default "" -}}
name: {{ include "collector.name" .context }}{{ with $suffix }}-{{ . }}{{ end }}
namespace: {{ .context.Release.Namespace }}
labels:
  app: {{ .context.Chart.Name | quote }}
  version: {{ .context.Chart.AppVersion | quote }}
  chart: {{ .context.Chart.Version }}
{{- range $key, $value := .labels }}
  {{ $key | quote }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "collector.config" -}}
receivers:
{{- range $name, $p := .Values.pipelines }}
  {{- if not $p.enabled }}{{ continue }}{{ end }}
  {{ $name }}:
    interval: {{ $p.interval | default "10s" }}
    {{- if eq $name "logs" }}
    include: {{ $p.paths | toJson }}
    {{- else if $p.ports }}
    targets:
      {{- range $p.ports }}
      - localhost:{{ . }}
      {{- end }}
    {{- end }}
{{- end }}
exporters:
  {{- .Values.exporters | toYaml | nindent 2 }}
service:
  pipelines: [{{ range $i, $name := keys .Values.pipelines | sortAlpha }}{{ if $i }}, {{ end }}{{ $name }}{{ end }}]
{{- end }}
