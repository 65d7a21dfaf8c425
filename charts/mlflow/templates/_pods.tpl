{{/* Where pods run, of the server and of the jobs. */}}
{{- define "mlflow.scheduling" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Security context of the pods, with a group that may write to the volume. */}}
{{- define "mlflow.podSecurityContext" -}}
{{- $group := .Values.storage.fsGroup -}}
{{- if eq (toString $group) "auto" -}}
{{- $group = ternary "none" "1001" (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}
{{- end -}}
{{- with .Values.podSecurityContext -}}
{{ toYaml . }}
{{- end }}
{{- if and .Values.storage.enabled (ne (toString $group) "none") (not (hasKey (default dict .Values.podSecurityContext) "fsGroup")) }}
fsGroup: {{ int64 $group }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}

{{- define "mlflow.dataVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.temporaryStorage.sizeLimit | quote }}
{{- if .Values.storage.enabled }}
- name: mlflow-storage
  persistentVolumeClaim:
    claimName: {{ include "mlflow.claim" . | quote }}
{{- end }}
{{- end }}

{{- define "mlflow.dataMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.storage.enabled }}
- name: mlflow-storage
  mountPath: /mlflow
{{- end }}
{{- end }}

{{/* A probe: a dict of `root`, `values` and `path`. */}}
{{- define "mlflow.probe" -}}
{{- $values := default dict .values -}}
httpGet:
  scheme: HTTPS
  port: https
  path: {{ default (printf "%s%s" (include "mlflow.prefix" .root) .path) $values.path | quote }}
  {{- if not (has "*" (default list .root.Values.mlflow.allowedHosts)) }}
  httpHeaders:
    - name: Host
      value: localhost
  {{- end }}
{{- with omit $values "path" }}
{{ toYaml . }}
{{- end }}
{{- end }}
