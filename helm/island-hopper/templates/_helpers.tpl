{{- define "island-hopper.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "island-hopper.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "island-hopper.name" .) -}}
{{- end -}}

{{- define "island-hopper.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "island-hopper.selectorLabels" -}}
app.kubernetes.io/name: island-hopper-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "island-hopper.labels" -}}
{{ include "island-hopper.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: island-hopper
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "island-hopper.environment" -}}
- name: HOPPER_SETTINGS
  value: /etc/hopper/settings/settings.yaml
- name: HOPPER_SERVICE_ACCOUNT_DIR
  value: /var/run/secrets/kubernetes.io/serviceaccount
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- end -}}

{{- define "island-hopper.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "island-hopper.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
