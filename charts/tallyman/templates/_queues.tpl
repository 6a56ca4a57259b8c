{{/*
The queues with everything filled in, as JSON: what `queues` says, `processor` behind it, and the names that
follow. Every template that speaks of queues reads this and nothing else.
*/}}
{{- define "tallyman.queues" -}}
{{- $root := . -}}
{{- $defaults := .Values.processor -}}
{{- $all := list -}}
{{- range $i, $given := .Values.queues -}}
{{- $q := deepCopy $given -}}
{{- range $key := list "log" "grace" "patience" "resources" "claimResources" "workSize" "tmpSize" "egress" -}}
{{- if not (hasKey $q $key) }}{{ $_ := set $q $key (index $defaults $key) }}{{ end -}}
{{- end -}}
{{- if $root.Values.sqs.bundled -}}
{{- $base := printf "%s/000000000000/%s" (include "tallyman.aws.endpoint" $root) $q.name -}}
{{- $_ := set $q "url" $base -}}
{{- $_ := set $q "deadLetter" (printf "%s-dead" $base) -}}
{{- end -}}
{{- $longest := include "tallyman.seconds" ($q.timeout | default "1h") | int64 -}}
{{- range $q.types -}}
{{- with .timeout }}{{ $longest = max $longest (include "tallyman.seconds" . | int64) }}{{ end -}}
{{- end -}}
{{- $_ := set $q "object" (include "tallyman.queueName" (dict "root" $root "name" $q.name)) -}}
{{- $_ := set $q "namespace" ($q.namespace | default $root.Release.Namespace) -}}
{{- $_ := set $q "max" ($q.max | default 20) -}}
{{- $_ := set $q "graceSeconds" (include "tallyman.seconds" $q.grace | int64) -}}
{{- $_ := set $q "patienceSeconds" (include "tallyman.seconds" $q.patience | int64) -}}
{{- /* Pending time counts, too: so an hour for nodes to come, and each attempt's own timeout is kept by `run`. */ -}}
{{- $_ := set $q "deadlineSeconds" (add 3600 (mul 3 $longest)) -}}
{{- with $q.deadline }}{{ $_ := set $q "deadlineSeconds" (include "tallyman.seconds" . | int64) }}{{ end -}}
{{- $sa := $q.serviceAccount | default dict -}}
{{- $create := ne (toString (get $sa "create")) "false" -}}
{{- $_ := set $q "createServiceAccount" $create -}}
{{- $_ := set $q "serviceAccountAnnotations" ($sa.annotations | default dict) -}}
{{- $_ := set $q "serviceAccountName" ($sa.name | default (ternary $q.object "default" $create)) -}}
{{- $_ := set $q "user" (printf "processor-%s" $q.name) -}}
{{- $all = append $all $q -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{/* contract.Config: what `tallyman dev --config` would read, for these queues. */}}
{{- define "tallyman.config" -}}
{{- $queues := list -}}
{{- range . -}}
{{- $queues = append $queues (pick . "name" "url" "deadLetter" "image" "max" "timeout" "visibility" "retention" "defaultType" "onLost" "types") -}}
{{- end -}}
{{- dict "queues" $queues | toPrettyJson -}}
{{- end -}}

{{/* The same with the webhooks: what api and scheduler read. */}}
{{- define "tallyman.config.whole" -}}
{{- $config := include "tallyman.config" (include "tallyman.queues" . | fromJsonArray) | fromJson -}}
{{- $hooks := list -}}
{{- range .Values.webhooks -}}
{{- $hook := pick . "name" "url" "queues" "types" "events" "timeout" "retryFor" "allow" -}}
{{- $hooks = append $hooks (set $hook "secretFile" (printf "/etc/tallyman/webhooks/%s" .name)) -}}
{{- end -}}
{{- with $hooks }}{{ $_ := set $config "webhooks" . }}{{ end -}}
{{- $config | toPrettyJson -}}
{{- end -}}

{{/* Every namespace that has a queue, once. */}}
{{- define "tallyman.namespaces" -}}
{{- $all := list -}}
{{- range include "tallyman.queues" . | fromJsonArray }}{{ $all = append $all .namespace }}{{ end -}}
{{- $all | uniq | sortAlpha | toJson -}}
{{- end -}}
