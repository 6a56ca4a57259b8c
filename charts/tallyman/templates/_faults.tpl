{{/* Everything that is wrong with the values, in one message; what each value must look like is in values.schema.json. */}}
{{- define "tallyman.faults" -}}
{{- $faults := concat (include "tallyman.faults.place" . | fromJsonArray) (include "tallyman.faults.queues" . | fromJsonArray) (include "tallyman.faults.keda" . | fromJsonArray) -}}
{{- with $faults }}{{ printf "nothing was installed:\n  - %s\n" (join "\n  - " .) | fail }}{{ end -}}
{{- end -}}

{{/* Where NATS and SQS are. */}}
{{- define "tallyman.faults.place" -}}
{{- $v := .Values -}}
{{- $f := list -}}
{{- if and (not $v.nats.bundled) (not $v.nats.url) -}}
{{- $f = append $f "nats.url: give the address of your NATS, like nats://nats.nats.svc:4222; or set nats.bundled=true to try Tallyman with a NATS of its own" -}}
{{- end -}}
{{- if and $v.nats.bundled $v.nats.url -}}
{{- $f = append $f "nats.url: stands beside nats.bundled=true; take one away" -}}
{{- end -}}
{{- if and $v.nats.bundled $v.nats.credentials.secret -}}
{{- $f = append $f "nats.credentials.secret: the bundled NATS makes its own; take it away, or set nats.bundled=false" -}}
{{- end -}}
{{- if and (not $v.nats.bundled) (lt (int $v.nats.replicas) 3) (not $v.nats.allowFewerReplicas) -}}
{{- $f = append $f (printf "nats.replicas: %d; claims are only as durable as NATS, so three are asked for; nats.allowFewerReplicas=true accepts less" (int $v.nats.replicas)) -}}
{{- end -}}
{{- if and (not $v.sqs.bundled) (not $v.aws.region) -}}
{{- $f = append $f "aws.region: give the region of your queues, like eu-central-1; or set sqs.bundled=true to try Tallyman with an SQS of its own" -}}
{{- end -}}
{{- if and $v.sqs.bundled $v.aws.endpoint -}}
{{- $f = append $f "aws.endpoint: stands beside sqs.bundled=true; take one away" -}}
{{- end -}}
{{- if and $v.sqs.bundled $v.aws.keysSecret -}}
{{- $f = append $f "aws.keysSecret: the bundled SQS makes its own; take it away, or set sqs.bundled=false" -}}
{{- end -}}
{{- if and (ne $v.api.service.type "ClusterIP") (not $v.api.token.secret) -}}
{{- $f = append $f (printf "api.service.type: a %s opens the API to whoever reaches it; name the Secret with a token by api.token.secret" $v.api.service.type) -}}
{{- end -}}
{{- /* As long as internal/stream keeps events; refusals_test.go holds the two together. */}}
{{- if gt (include "tallyman.seconds" $v.aggregator.retention | int64) (mul 31 24 3600) -}}
{{- $f = append $f (printf "aggregator.retention: %s; the stream keeps events for 744h (31 days), and a job's document must not outlive them; give at most that" $v.aggregator.retention) -}}
{{- end -}}
{{- /* As internal/program has it, by contract.Config.LeastRetention; refusals_test.go holds the two together. */}}
{{- range $i, $q := $v.queues -}}
{{- $kept := $q.retention | default "96h" -}}
{{- if lt (include "tallyman.seconds" $v.aggregator.retention | int64) (add 3600 (include "tallyman.seconds" $kept)) -}}
{{- $f = append $f (printf "aggregator.retention: %s; SQS keeps a message of queue %q for %s, and one that waited for longer than documents are kept would run and be counted nowhere; give at least an hour more than that, or the queue less (queues[%d].retention)" $v.aggregator.retention $q.name $kept $i) -}}
{{- end -}}
{{- end -}}
{{- toJson $f -}}
{{- end -}}

{{- define "tallyman.faults.queues" -}}
{{- $root := . -}}
{{- $f := list -}}
{{- $names := list -}}
{{- $urls := list -}}
{{- $bundled := .Values.sqs.bundled -}}
{{- if not .Values.queues }}{{ $f = append $f "queues: at least one is needed" }}{{ end -}}
{{- range $i, $q := .Values.queues -}}
{{- $at := printf "queues[%d]" $i -}}
{{- if has $q.name $names }}{{ $f = append $f (printf "%s.name: %q stands twice" $at $q.name) }}{{ end -}}
{{- $names = append $names $q.name -}}
{{- range $key := list "url" "deadLetter" -}}
{{- with get $q $key -}}
{{- if $bundled }}{{ $f = append $f (printf "%s.%s: the bundled SQS makes the queue; take it away, or set sqs.bundled=false" $at $key) }}{{ end -}}
{{- if has . $urls }}{{ $f = append $f (printf "%s.%s: %s is the URL of another queue, too" $at $key .) }}{{ end -}}
{{- $urls = append $urls . -}}
{{- end -}}
{{- end -}}
{{- if and (not $bundled) (not $q.url) -}}
{{- $f = append $f (printf "%s.url: queue %q has none; give the URL of its SQS queue, or set sqs.bundled=true to try Tallyman with an SQS of its own" $at $q.name) -}}
{{- end -}}
{{- $f = concat $f (include "tallyman.faults.types" (dict "at" $at "queue" $q) | fromJsonArray) -}}
{{- $f = concat $f (include "tallyman.faults.work" (dict "at" $at "queue" $q) | fromJsonArray) -}}
{{- end -}}
{{- range $i, $q := .Values.queues -}}
{{- if and $bundled (has (printf "%s-dead" $q.name) $names) -}}
{{- $f = append $f (printf "queues[%d].name: the bundled SQS makes %s-dead as the dead-letter queue of %q; give the queue of that name another" $i $q.name $q.name) -}}
{{- end -}}
{{- end -}}
{{- $hooks := list -}}
{{- range $i, $hook := .Values.webhooks -}}
{{- if has $hook.name $hooks }}{{ $f = append $f (printf "webhooks[%d].name: %q stands twice" $i $hook.name) }}{{ end -}}
{{- $hooks = append $hooks $hook.name -}}
{{- end -}}
{{- with .Values.test.queue -}}
{{- if not (has . $names) }}{{ $f = append $f (printf "test.queue: there is no queue %q" .) }}{{ end -}}
{{- end -}}
{{- toJson $f -}}
{{- end -}}

{{- define "tallyman.faults.types" -}}
{{- $at := .at -}}
{{- $f := list -}}
{{- $names := list -}}
{{- range $j, $t := .queue.types -}}
{{- if has $t.name $names }}{{ $f = append $f (printf "%s.types[%d].name: %q stands twice" $at $j $t.name) }}{{ end -}}
{{- $names = append $names $t.name -}}
{{- if and (not $t.command) (not (has $t.name (list "process-data" "probe" "store-event"))) -}}
{{- $f = append $f (printf "%s.types[%d].command: %q is not a built-in type (process-data, probe, store-event), so it needs a command" $at $j $t.name) -}}
{{- end -}}
{{- end -}}
{{- with .queue.defaultType -}}
{{- if not (has . $names) }}{{ $f = append $f (printf "%s.defaultType: there is no type %q in this queue" $at .) }}{{ end -}}
{{- end -}}
{{- toJson $f -}}
{{- end -}}

{{- define "tallyman.faults.work" -}}
{{- $at := .at -}}
{{- $q := .queue -}}
{{- $f := list -}}
{{- range $j, $e := $q.env -}}
{{- if regexMatch "^(TALLYMAN_|AWS_|NATS_|KUBERNETES_)" $e.name -}}
{{- $f = append $f (printf "%s.env[%d].name: %s: the work inherits nothing that begins with TALLYMAN_, AWS_, NATS_ or KUBERNETES_; take another name" $at $j $e.name) -}}
{{- end -}}
{{- end -}}
{{- range $j, $v := $q.volumes -}}
{{- if has $v.name (list "tallyman" "tmp" "config" "nats" "processor") -}}
{{- $f = append $f (printf "%s.volumes[%d].name: %q is the name of one of ours; take another" $at $j $v.name) -}}
{{- end -}}
{{- end -}}
{{- /* Whoever may post a job reads what lies below dataDir, in the names of a profile's columns. */}}
{{- with $q.dataDir -}}
{{- $dir := printf "%s/" (clean . | trimSuffix "/") -}}
{{- $held := list "/etc/tallyman" "/var/run/secrets" "/run/secrets" "/proc" -}}
{{- $secret := list -}}
{{- range $q.volumes }}{{ if or .secret .projected }}{{ $secret = append $secret .name }}{{ end }}{{ end -}}
{{- range $q.volumeMounts }}{{ if has .name $secret }}{{ $held = append $held (clean .mountPath) }}{{ end }}{{ end -}}
{{- range $held -}}
{{- $other := printf "%s/" (trimSuffix "/" .) -}}
{{- if or (hasPrefix $dir $other) (hasPrefix $other $dir) -}}
{{- $f = append $f (printf "%s.dataDir: %s has to do with %s, where credentials lie, and every job may read what is below dataDir; give a folder of the data alone" $at $q.dataDir .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (not $q.image) ($q.types | toJson | contains "\"command\"") (not $q.volumes) -}}
{{- $f = append $f (printf "%s.image: a command needs an image that has its program (or volumes that bring it); the processor's own has none" $at) -}}
{{- end -}}
{{- toJson $f -}}
{{- end -}}

{{/*
KEDA is looked for only where a cluster answers: every API server serves apiregistration.k8s.io, and Helm does not
know that group by itself. The values that `strategy` may have are in KEDA's CRD since 2.20.2, the oldest that
counts as we need it, so the CRD tells its age even where nobody labelled it.
*/}}
{{- define "tallyman.faults.keda" -}}
{{- $f := list -}}
{{- $needed := "2.20.2" -}}
{{- if and .Values.keda.check (.Capabilities.APIVersions.Has "apiregistration.k8s.io/v1") -}}
{{- if not (.Capabilities.APIVersions.Has "keda.sh/v1alpha1/ScaledJob") -}}
{{- $f = append $f (printf "KEDA is missing: this cluster has no ScaledJob (keda.sh/v1alpha1); install KEDA %s or newer first, see https://keda.sh/docs/latest/deploy; keda.check=false skips this check" $needed) -}}
{{- else -}}
{{- $crd := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "scaledjobs.keda.sh" -}}
{{- if $crd -}}
{{- $version := dig "metadata" "labels" "app.kubernetes.io/version" "" $crd | trimPrefix "v" -}}
{{- $labelled := regexMatch "^[0-9]+\\.[0-9]+\\.[0-9]+" $version -}}
{{- $spec := dig "schema" "openAPIV3Schema" "properties" "spec" "properties" dict (first $crd.spec.versions) -}}
{{- $strategies := dig "scalingStrategy" "properties" "strategy" "enum" list $spec -}}
{{- if or (and $labelled (semverCompare (printf "<%s" $needed) $version)) (and (not $labelled) (empty $strategies)) -}}
{{- $f = append $f (printf "KEDA is too old: its ScaledJob is of %s, %s or newer is needed, since older ones count pending pods and the limit wrongly; upgrade KEDA; keda.check=false skips this check" (ternary $version (printf "before %s" $needed) $labelled) $needed) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $f -}}
{{- end -}}
