{{- define "mlflow.tlsSecret" -}}
{{ default (printf "mlflow-tls%s" (include "mlflow.suffix" .)) .Values.tls.secretName }}
{{- end }}

{{- define "mlflow.tlsVolume" -}}
- name: mlflow-tls
{{- if eq .Values.tls.source "selfSigned" }}
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- else }}
  secret:
    secretName: {{ include "mlflow.tlsSecret" . | quote }}
    defaultMode: {{ int .Values.tls.defaultMode }}
{{- end }}
{{- end }}

{{/* Writes a certificate for the Service, for one year, with the cryptography that MLflow brings. */}}
{{- define "mlflow.selfSignedInitContainer" -}}
{{- if eq .Values.tls.source "selfSigned" }}
- name: self-signed-certificate
  {{- include "mlflow.containerImage" . | nindent 2 }}
  {{- include "mlflow.python" . | nindent 2 }}
  args:
    - -c
    - |
      import datetime, os, sys
      from cryptography import x509
      from cryptography.hazmat.primitives import hashes, serialization
      from cryptography.hazmat.primitives.asymmetric import ec
      names = sys.argv[1:]
      key = ec.generate_private_key(ec.SECP256R1())
      subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
      now = datetime.datetime.now(datetime.timezone.utc)
      certificate = (
          x509.CertificateBuilder()
          .subject_name(subject)
          .issuer_name(subject)
          .public_key(key.public_key())
          .serial_number(x509.random_serial_number())
          .not_valid_before(now - datetime.timedelta(minutes=5))
          .not_valid_after(now + datetime.timedelta(days=365))
          .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
          .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
          .sign(key, hashes.SHA256())
      )
      def write(name, content):
          with os.fdopen(os.open("/etc/tls/private/" + name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
              file.write(content)
      pem = serialization.Encoding.PEM
      write("tls.crt", certificate.public_bytes(pem))
      write("tls.key", key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    {{- range include "mlflow.serviceHosts" . | fromJsonArray }}
    - {{ . | quote }}
    {{- end }}
    - localhost
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  resources:
    requests:
      cpu: 50m
      memory: 64Mi
    limits:
      cpu: 500m
      memory: 256Mi
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    - name: mlflow-tls
      mountPath: /etc/tls/private
{{- end }}
{{- end }}

{{/* The authority that jobs need to trust the server: `configMap NAME` or `secret NAME`. */}}
{{- define "mlflow.serverCa" -}}
{{- if .Values.tls.ca.configMap -}}
configMap:
  name: {{ .Values.tls.ca.configMap | quote }}
{{- else if or .Values.tls.ca.secret (eq .Values.tls.source "certManager") -}}
secret:
  secretName: {{ default (include "mlflow.tlsSecret" .) .Values.tls.ca.secret | quote }}
{{- end -}}
{{- end }}
