{{/* Where pods may connect to, as NetworkPolicyEgressRules. */}}
{{- define "tallyman.network.dns" -}}
ports:
  - {protocol: UDP, port: 53}
  - {protocol: TCP, port: 53}
{{- end -}}

{{/* The ports of addresses separated by commas, behind the default of their scheme. */}}
{{- define "tallyman.network.ports" -}}
{{- $ports := list -}}
{{- $default := .default -}}
{{- range splitList "," .urls -}}
{{- $port := regexFind ":[0-9]+$" (urlParse (trim .)).host | trimPrefix ":" -}}
{{- $ports = append $ports ($port | default $default | int) -}}
{{- end -}}
ports:
  {{- range $ports | uniq }}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
{{- end -}}

{{- define "tallyman.network.of" -}}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .root.Release.Namespace }}}}
      podSelector:
        matchLabels: {{- include "tallyman.selector" . | nindent 10 }}
  ports: [{protocol: TCP, port: {{ .port }}}]
{{- end -}}

{{- define "tallyman.network.nats" -}}
{{- if .Values.nats.bundled -}}
{{ include "tallyman.network.of" (dict "root" . "component" "nats" "port" 4222) }}
{{- else -}}
- {{ include "tallyman.network.ports" (dict "urls" .Values.nats.url "default" 4222) | nindent 2 | trim }}
{{- end -}}
{{- end -}}

{{- define "tallyman.network.sqs" -}}
{{- if .Values.sqs.bundled -}}
{{ include "tallyman.network.of" (dict "root" . "component" "sqs" "port" 9324) }}
{{- else -}}
{{- $url := .Values.aws.endpoint | default "https://aws" -}}
- {{ include "tallyman.network.ports" (dict "urls" $url "default" (ternary 80 443 (hasPrefix "http:" $url))) | nindent 2 | trim }}
{{- if not (or .Values.aws.endpoint .Values.aws.keysSecret) }}
# EKS Pod Identity hands out a role's keys at these addresses of the node.
- to: [{ipBlock: {cidr: 169.254.170.23/32}}, {ipBlock: {cidr: "fd00:ec2::23/128"}}]
  ports: [{protocol: TCP, port: 80}]
{{- end -}}
{{- end -}}
{{- end -}}
