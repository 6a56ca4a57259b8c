{{/* What every pod and container has so that Pod Security's profile `restricted` takes them. */}}
{{- define "tallyman.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "tallyman.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "tallyman.pullSecrets" -}}
{{- with . }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Where a pod may go; p is a component's values or a queue. */}}
{{- define "tallyman.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* How to reach SQS: the AWS SDK's own variables. Keys only where there is no IAM. */}}
{{- define "tallyman.aws.env" -}}
{{- $keys := include "tallyman.aws.keysSecret" . }}
- {name: AWS_REGION, value: {{ include "tallyman.aws.region" . | quote }}}
{{- with include "tallyman.aws.endpoint" . }}
- {name: AWS_ENDPOINT_URL_SQS, value: {{ . | quote }}}
{{- end }}
{{- if $keys }}
- {name: AWS_EC2_METADATA_DISABLED, value: "true"}
- {name: AWS_ACCESS_KEY_ID, valueFrom: {secretKeyRef: {name: {{ $keys }}, key: AWS_ACCESS_KEY_ID}}}
- {name: AWS_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: {name: {{ $keys }}, key: AWS_SECRET_ACCESS_KEY}}}
{{- end }}
{{- end -}}

{{- define "tallyman.aws.region" -}}
{{- .Values.aws.region | default (ternary "us-east-1" "" .Values.sqs.bundled) -}}
{{- end -}}

{{- define "tallyman.aws.endpoint" -}}
{{- if .Values.sqs.bundled -}}
http://{{ include "tallyman.fullname" . }}-sqs.{{ .Release.Namespace }}.svc:9324
{{- else -}}
{{- .Values.aws.endpoint -}}
{{- end -}}
{{- end -}}

{{- define "tallyman.aws.keysSecret" -}}
{{- if .Values.sqs.bundled }}{{ include "tallyman.fullname" . }}-sqs{{ else }}{{ .Values.aws.keysSecret }}{{ end -}}
{{- end -}}

{{- define "tallyman.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .className }}
storageClassName: {{ . }}
{{- end }}
resources: {requests: {storage: {{ .size }}}}
{{- end -}}
