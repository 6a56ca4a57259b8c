{{/*
Who may do what on NATS, and with which password. test/chart holds this to contract/names.go, and tries on a real
server what must work and what must be refused; docs/permissions.md says why.
*/}}

{{- define "tallyman.nats.url" -}}
{{- if .Values.nats.bundled -}}
nats://{{ include "tallyman.fullname" . }}-nats.{{ .Release.Namespace }}.svc:4222
{{- else -}}
{{- .Values.nats.url -}}
{{- end -}}
{{- end -}}

{{/* The subjects that answers come back on: each user has its own, or one could read another's answers. */}}
{{- define "tallyman.nats.inbox" -}}
_INBOX_{{ . }}
{{- end -}}

{{/* Reading a bucket or stream in order, from a filter's subject on. */}}
{{- define "tallyman.nats.consume" -}}
{{- $create := printf "$JS.API.CONSUMER.CREATE.%s.*" .stream -}}
{{- with .filter }}{{ $create = printf "%s.%s" $create . }}{{ end -}}
{{- list $create (printf "$JS.API.CONSUMER.INFO.%s.*" .stream) (printf "$JS.API.CONSUMER.DELETE.%s.*" .stream) (printf "$JS.API.CONSUMER.MSG.NEXT.%s.*" .stream) | toJson -}}
{{- end -}}

{{- define "tallyman.nats.events" -}}
{{- $all := list -}}
{{- $queue := .queue -}}
{{- range .kinds }}{{ $all = append $all (printf "jobs.events.%s.*.%s.*" $queue .) }}{{ end -}}
{{- toJson $all -}}
{{- end -}}

{{/* User -> {publish, subscribe}, as JSON. `admin` may do everything, `tap` listen and read what was said; both are for people. */}}
{{- define "tallyman.nats.permissions" -}}
{{- $look := list -}}
{{- $make := list -}}
{{- range list "EVENTS" "SCALING" "KV_claims" "KV_jobs" "KV_schedules" "KV_output" "KV_leases" "KV_webhooks" "KV_audit" -}}
{{- $look = append $look (printf "$JS.API.STREAM.INFO.%s" .) -}}
{{- $make = append $make (printf "$JS.API.STREAM.CREATE.%s" .) -}}
{{- end -}}
{{- $events := include "tallyman.nats.consume" (dict "stream" "EVENTS") | fromJsonArray -}}
{{- $jobs := include "tallyman.nats.consume" (dict "stream" "KV_jobs" "filter" "$KV.jobs.>") | fromJsonArray -}}
{{- $stats := include "tallyman.nats.consume" (dict "stream" "KV_jobs" "filter" "$KV.jobs.stats") | fromJsonArray -}}
{{- $units := include "tallyman.nats.consume" (dict "stream" "KV_claims" "filter" "$KV.claims.*.unit.*") | fromJsonArray -}}
{{- $said := include "tallyman.nats.consume" (dict "stream" "SCALING" "filter" "jobs.scaling.*.*") | fromJsonArray -}}
{{- $schedules := include "tallyman.nats.consume" (dict "stream" "KV_schedules" "filter" "$KV.schedules.>") | fromJsonArray -}}
{{- $orders := include "tallyman.nats.consume" (dict "stream" "KV_webhooks" "filter" "$KV.webhooks.order.*") | fromJsonArray -}}
{{- /* Who audits reads everything that jobs leave behind, and changes none of it. */ -}}
{{- $audits := concat $events $jobs $units
      (include "tallyman.nats.consume" (dict "stream" "KV_claims" "filter" "$KV.claims.*.run.*.*") | fromJsonArray)
      (include "tallyman.nats.consume" (dict "stream" "KV_audit" "filter" "$KV.audit.units.*") | fromJsonArray)
      (list "$JS.API.STREAM.MSG.GET.KV_claims" "$JS.API.DIRECT.GET.KV_jobs.$KV.jobs.>" "$JS.API.DIRECT.GET.KV_audit.$KV.audit.>" "$JS.API.DIRECT.GET.EVENTS") -}}
{{- $reports := concat (include "tallyman.nats.consume" (dict "stream" "KV_audit" "filter" "$KV.audit.report") | fromJsonArray)
      (include "tallyman.nats.consume" (dict "stream" "KV_audit" "filter" "$KV.audit.doctor.*.*") | fromJsonArray) -}}
{{- $users := dict -}}

  {{- $_ := set $users "api" (dict "publish" (concat $look $schedules $said $audits $reports
      (include "tallyman.nats.events" (dict "queue" "*" "kinds" (list "submitted" "queued" "cancelled")) | fromJsonArray)
      (list "$KV.claims.*.run.*.*" "$KV.claims.*.unit.*" "$KV.schedules.*" "$KV.audit.doctor.api.*" "$JS.API.DIRECT.GET.KV_schedules.$KV.schedules.*"
        "$KV.webhooks.order.*" "$JS.API.STREAM.MSG.GET.KV_webhooks" "$JS.API.DIRECT.GET.KV_output.$KV.output.*.*.*.*"))
      "subscribe" (list "jobs.progress.*.*.*")) -}}

{{- $_ := set $users "scheduler" (dict "publish" (concat $look $schedules $audits $orders
      (include "tallyman.nats.events" (dict "queue" "*" "kinds" (list "submitted" "queued" "failed" "cancelled")) | fromJsonArray)
      (list "$KV.claims.*.run.*.*" "$KV.schedules.*" "$KV.leases.scheduler" "$KV.leases.webhooks"
        "$KV.webhooks.state.*" "$KV.audit.report" "$KV.audit.stream" "$KV.audit.doctor.scheduler.*"
        "$JS.API.STREAM.MSG.GET.KV_webhooks" "$JS.API.STREAM.MSG.GET.KV_leases" "$JS.API.DIRECT.GET.KV_schedules.$KV.schedules.*"))
      "subscribe" list) -}}

{{- $_ := set $users "bridge" (dict "publish" (concat $look $units $stats
      (include "tallyman.nats.events" (dict "queue" "*" "kinds" (list "submitted" "claimed" "attempt-failed" "attempt-disrupted" "succeeded" "failed" "cancelled" "claim-failed")) | fromJsonArray)
      (list "$KV.claims.*.unit.*" "$KV.claims.cluster.*" "$KV.claims.sight.*" "$KV.audit.units.*" "$KV.audit.doctor.bridge.*" "$JS.API.STREAM.MSG.GET.KV_claims" "jobs.scaling.*.*"))
      "subscribe" list) -}}

{{- /* The aggregator alone makes what is missing: whoever can make a stream can have it copy others. */ -}}
{{- $_ := set $users "aggregator" (dict "publish" (concat $look $make $events $jobs
      (list "$KV.jobs.>" "$KV.leases.aggregator" "$KV.audit.doctor.aggregator.*" "$JS.API.STREAM.MSG.GET.KV_leases"
        "$JS.API.DIRECT.GET.EVENTS" "$JS.API.DIRECT.GET.KV_jobs.$KV.jobs.>"))
      "subscribe" list) -}}

{{- range include "tallyman.queues" . | fromJsonArray -}}
{{- $_ := set $users .user (dict "publish" (concat
      (include "tallyman.nats.events" (dict "queue" .name "kinds" (list "submitted" "claimed" "started" "attempt-failed" "succeeded" "failed" "cancelled" "noop" "duplicate" "rejected")) | fromJsonArray)
      (list (printf "$KV.claims.%s.unit.*" .name) (printf "$KV.claims.%s.run.*.*" .name) (printf "$KV.output.%s.*.*.*" .name)
        (printf "jobs.progress.%s.*.*" .name) "$JS.API.STREAM.MSG.GET.KV_claims"))
      "subscribe" (list (printf "$KV.claims.%s.unit.*" .name))) -}}
{{- end -}}

{{- $past := list -}}
{{- range list "EVENTS" "SCALING" -}}
{{- $past = concat $past (list (printf "$JS.API.STREAM.INFO.%s" .) (printf "$JS.API.CONSUMER.CREATE.%s.>" .) (printf "$JS.API.CONSUMER.INFO.%s.*" .)
      (printf "$JS.API.CONSUMER.DELETE.%s.*" .) (printf "$JS.API.CONSUMER.MSG.NEXT.%s.*" .) (printf "$JS.API.DIRECT.GET.%s" .) (printf "$JS.FC.%s.>" .)) -}}
{{- end -}}
{{- $_ := set $users "tap" (dict "publish" $past "subscribe" (list "jobs.events.>" "jobs.progress.>" "jobs.scaling.>")) -}}

{{- range $name, $user := $users -}}
{{- $_ := set $user "publish" ($user.publish | uniq | sortAlpha) -}}
{{- $_ := set $user "subscribe" (append $user.subscribe (printf "%s.>" (include "tallyman.nats.inbox" $name)) | sortAlpha) -}}
{{- end -}}
{{- $_ := set $users "admin" (dict "publish" (list ">") "subscribe" (list ">")) -}}
{{- toJson $users -}}
{{- end -}}

{{/* As a server's configuration has them. No list is empty: to a server an empty one allows everything. */}}
{{- define "tallyman.nats.rights" -}}
{{- dict "publish" (dict "allow" .publish) "subscribe" (dict "allow" .subscribe) | toJson -}}
{{- end -}}

{{/*
What passwords are derived from: given, or kept in a Secret, or made. It is remembered in the values, since each
call would make another. A render without a cluster (helm template) cannot see the Secret: give nats.seed there.
*/}}
{{- define "tallyman.nats.seed" -}}
{{- if not .Values.nats.seed -}}
{{- $kept := lookup "v1" "Secret" .Release.Namespace (printf "%s-nats-seed" (include "tallyman.fullname" .)) -}}
{{- $seed := dig "data" "seed" "" $kept | b64dec | default (randAlphaNum 48) -}}
{{- $_ := set .Values.nats "seed" $seed -}}
{{- end -}}
{{- .Values.nats.seed -}}
{{- end -}}

{{- define "tallyman.nats.password" -}}
{{- $seed := include "tallyman.nats.seed" .root -}}
{{- printf "%s/%s/%s" $seed .user $seed | sha256sum -}}
{{- end -}}

{{/* The Secret and key with a user's credentials, as JSON; an open NATS has none. */}}
{{- define "tallyman.nats.secret" -}}
{{- $outside := .root.Values.nats.credentials.secret -}}
{{- if .own -}}
{{- dict "name" .own.name "key" (.own.key | default .user) | toJson -}}
{{- else if .root.Values.nats.bundled -}}
{{- dict "name" (include "tallyman.nats.secretName" .) "key" "credentials" | toJson -}}
{{- else if $outside -}}
{{- dict "name" $outside "key" .user | toJson -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{- define "tallyman.nats.secretName" -}}
{{- if .queue }}{{ .queue.object }}-nats{{ else }}{{ include "tallyman.fullname" .root }}-nats-{{ .user }}{{ end -}}
{{- end -}}
