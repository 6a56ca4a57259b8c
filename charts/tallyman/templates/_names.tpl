{{/* Names and labels. Short enough that a queue's name, a hyphen and KEDA's five letters still fit 63. */}}
{{- define "tallyman.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The objects of a queue. A queue's name may hold what a Kubernetes name may not: then a hash tells them apart. */}}
{{- define "tallyman.queueName" -}}
{{- $slug := .name | lower | replace "_" "-" | trimAll "-" -}}
{{- $full := printf "%s-queue-%s" (include "tallyman.fullname" .root) $slug | trimSuffix "-" -}}
{{- if or (ne $slug .name) (gt (len $full) 57) -}}
{{- printf "%s-%s" ($full | trunc 48 | trimSuffix "-") (.name | sha256sum | trunc 8) -}}
{{- else -}}
{{- $full -}}
{{- end -}}
{{- end -}}

{{- define "tallyman.selector" -}}
app.kubernetes.io/name: {{ .root.Values.nameOverride | default .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "tallyman.labels" -}}
{{ include "tallyman.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tallyman
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tallyman.serviceAccount" -}}
{{- $sa := (index .root.Values .component).serviceAccount -}}
{{- $sa.name | default (ternary (printf "%s-%s" (include "tallyman.fullname" .root) .component) "default" $sa.create) -}}
{{- end -}}

{{- define "tallyman.image" -}}
{{- $registry := .image.registry | default .root.Values.image.registry -}}
{{- $tag := .image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- with $registry }}{{ . }}/{{ end }}{{ .image.repository }}:{{ $tag }}{{ with .image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{/* Seconds of a duration, rounded up: digits and ms, s, m or h, once (docs/configuration.md) or several times, as Go has it. */}}
{{- define "tallyman.seconds" -}}
{{- $ms := dict "h" 3600000 "m" 60000 "s" 1000 "ms" 1 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $sum = add $sum (mul (regexFind "^[0-9]+" . | int64) (get $ms (regexFind "[a-z]+$" .))) -}}
{{- end -}}
{{- div (add $sum 999) 1000 -}}
{{- end -}}
