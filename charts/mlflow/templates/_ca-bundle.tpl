{{/*
Authorities to trust, from files of the image and from ConfigMaps, become one file. An init container
writes it, a sidecar writes it again when a ConfigMap changes. All of this is there only with
ConfigMaps.
*/}}
{{- define "mlflow.caBundleEnvironment" -}}
{{- if .Values.caBundle.configMaps }}
{{- range $name := list "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE" "CURL_CA_BUNDLE" "AWS_CA_BUNDLE" "PGSSLROOTCERT" "MLFLOW_MYSQL_SSL_CA" }}
- name: {{ $name }}
  value: {{ $.Values.caBundle.outputPath | quote }}
{{- end }}
- name: PGSSLMODE
  value: verify-full
- name: MLFLOW_S3_IGNORE_TLS
  value: "false"
{{- end }}
{{- end }}

{{- define "mlflow.caBundleVolumes" -}}
{{- if .Values.caBundle.configMaps }}
{{- range $index, $source := .Values.caBundle.configMaps }}
- name: ca-bundle-{{ $index }}
  configMap:
    name: {{ $source.name | quote }}
    optional: true
{{- end }}
- name: combined-ca-bundle
  emptyDir: {}
{{- end }}
{{- end }}

{{/* Of the containers that read the file. */}}
{{- define "mlflow.caBundleMount" -}}
{{- if .Values.caBundle.configMaps }}
- name: combined-ca-bundle
  mountPath: {{ dir .Values.caBundle.outputPath | quote }}
  readOnly: true
{{- end }}
{{- end }}

{{/* Of the containers that write it: script, environment, mounts. */}}
{{- define "mlflow.caBundleWriter" -}}
{{- include "mlflow.containerImage" . }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
env:
  - name: CA_BUNDLE_FILE_PATHS
    value: {{ join " " (default list .Values.caBundle.filePaths) | quote }}
  - name: CA_BUNDLE_MOUNT_PATHS
    {{- $paths := list }}
    {{- range .Values.caBundle.configMaps }}
    {{- $paths = append $paths .mountPath }}
    {{- end }}
    value: {{ join " " $paths | quote }}
  - name: CA_BUNDLE_OUTPUT
    value: {{ .Values.caBundle.outputPath | quote }}
  - name: CA_BUNDLE_WATCH_INTERVAL
    value: {{ .Values.caBundle.watchInterval | int | quote }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: combined-ca-bundle
    mountPath: {{ dir .Values.caBundle.outputPath | quote }}
  {{- range $index, $source := .Values.caBundle.configMaps }}
  - name: ca-bundle-{{ $index }}
    mountPath: {{ $source.mountPath | quote }}
    readOnly: true
  {{- end }}
{{- end }}

{{- define "mlflow.caBundleFunctions" -}}
sources() {
  for file in $CA_BUNDLE_FILE_PATHS; do
    [ -r "$file" ] && echo "$file"
  done
  for folder in $CA_BUNDLE_MOUNT_PATHS; do
    for file in "$folder"/*.crt "$folder"/*.pem; do
      [ -r "$file" ] && echo "$file"
    done
  done
  true
}
checksum() {
  sources | while read -r file; do sha256sum "$file"; done | sha256sum
}
combine() {
  new="$CA_BUNDLE_OUTPUT.new"
  (umask 077 && : > "$new")
  sources | while read -r file; do
    cat "$file" >> "$new"
    echo >> "$new"
  done
  chmod 0644 "$new"
  mv "$new" "$CA_BUNDLE_OUTPUT"
  echo "$(sources | wc -l) files are in $CA_BUNDLE_OUTPUT"
}
{{- end }}

{{- define "mlflow.caBundleInitContainer" -}}
{{- if .Values.caBundle.configMaps }}
- name: combine-ca-bundles
  {{- include "mlflow.caBundleWriter" . | nindent 2 }}
  command: ["/bin/sh", "-ec"]
  args:
    - |
      {{- include "mlflow.caBundleFunctions" . | nindent 6 }}
      combine
  resources:
    requests:
      cpu: 10m
      memory: 16Mi
    limits:
      cpu: 100m
      memory: 64Mi
{{- end }}
{{- end }}

{{- define "mlflow.caBundleSidecar" -}}
{{- if .Values.caBundle.configMaps }}
- name: ca-bundle-watcher
  {{- include "mlflow.caBundleWriter" . | nindent 2 }}
  command: ["/bin/sh", "-c"]
  args:
    - |
      {{- include "mlflow.caBundleFunctions" . | nindent 6 }}
      trap 'exit 0' TERM
      before="$(checksum)"
      while true; do
        sleep "$CA_BUNDLE_WATCH_INTERVAL" &
        wait $!
        now="$(checksum)"
        [ "$now" = "$before" ] || { combine; before="$now"; }
      done
  resources:
    requests:
      cpu: 5m
      memory: 8Mi
    limits:
      cpu: 50m
      memory: 32Mi
{{- end }}
{{- end }}
