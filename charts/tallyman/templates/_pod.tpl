{{/* The pod of a queue: `claim` takes a message, `run` does the work. Takes root and queue (of tallyman.queues). */}}
{{- define "tallyman.pod" -}}
{{- $root := .root }}
{{- $q := .queue }}
{{- $processor := include "tallyman.image" (dict "root" .root "image" .root.Values.processor.image) }}
{{- $secret := include "tallyman.nats.secret" (dict "root" .root "user" $q.user "queue" $q "own" $q.natsSecret) | fromJson }}
{{- $own := not (empty $q.image) }}
metadata:
  labels:
    {{- include "tallyman.selector" (dict "root" .root "component" "processor") | nindent 4 }}
    app.kubernetes.io/part-of: tallyman
    tallyman.dev/scaledjob: {{ $q.object }} # a queue's own name may be no label
    {{- with .root.Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $q.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    tallyman.dev/queue: {{ $q.name | quote }}
    kubectl.kubernetes.io/default-container: run
    # Work that runs is not moved for the sake of a fuller node.
    cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
    karpenter.sh/do-not-disrupt: "true"
    {{- with $q.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  restartPolicy: Never # each attempt is a pod of its own, with its own log
  serviceAccountName: {{ $q.serviceAccountName }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add $q.graceSeconds 10 }}
  {{- include "tallyman.pullSecrets" (concat .root.Values.image.pullSecrets ($q.pullSecrets | default list)) | nindent 2 }}
  securityContext: {{- mergeOverwrite (include "tallyman.podSecurity" . | fromYaml) ($q.podSecurityContext | default dict) | toYaml | nindent 4 }}
  {{- include "tallyman.placement" (include "tallyman.queuePlacement" $q | fromJson) | nindent 2 }}
  {{- with $q.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml . | nindent 4 }}
  {{- end }}
  initContainers:
    {{- if $own }}
    # The processor is static, so it runs in any image: the claim is made in yours, and no message is taken
    # before that image has been pulled and its configuration is right.
    - name: install
      image: {{ $processor }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: [install, /opt/tallyman]
      securityContext: {{- include "tallyman.containerSecurity" . | nindent 8 }}
      resources: {{- toYaml $q.claimResources | nindent 8 }}
      volumeMounts:
        - {name: processor, mountPath: /opt/tallyman}
    {{- end }}
    - name: claim
      {{- include "tallyman.podContainer" (dict "root" .root "queue" $q "own" $own "processor" $processor "do" "claim" "credentials" (not (empty $secret.name))) | nindent 6 }}
  containers:
    - name: run
      {{- include "tallyman.podContainer" (dict "root" .root "queue" $q "own" $own "processor" $processor "do" "run" "credentials" (not (empty $secret.name))) | nindent 6 }}
  volumes:
    - name: tallyman
      emptyDir: {sizeLimit: {{ $q.workSize }}}
    - name: tmp
      emptyDir: {sizeLimit: {{ $q.tmpSize }}}
    - name: config
      configMap: {name: {{ $q.object }}}
    {{- if $secret.name }}
    - name: nats
      secret:
        secretName: {{ $secret.name }}
        defaultMode: 0440
        items: [{key: {{ $secret.key }}, path: credentials}]
    {{- end }}
    {{- if $own }}
    - name: processor
      emptyDir: {sizeLimit: 64Mi}
    {{- end }}
    {{- with $q.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* `claim` and `run` are one container but for the last word: same image, same environment, same volumes. */}}
{{- define "tallyman.podContainer" -}}
{{- $q := .queue }}
image: {{ ternary $q.image .processor .own }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- if .own }}
command: [/opt/tallyman/processor, {{ .do }}]
{{- else }}
args: [{{ .do }}]
{{- end }}
securityContext: {{- mergeOverwrite (include "tallyman.containerSecurity" . | fromYaml) ($q.securityContext | default dict) | toYaml | nindent 2 }}
env:
  - {name: TALLYMAN_QUEUE, value: {{ $q.name | quote }}}
  - {name: TALLYMAN_QUEUE_URL, value: {{ $q.url | quote }}}
  {{- with $q.deadLetter }}
  - {name: TALLYMAN_DEAD_LETTER_URL, value: {{ . | quote }}}
  {{- end }}
  - {name: TALLYMAN_CONFIG, value: /etc/tallyman/config/config.json}
  - {name: TALLYMAN_CLUSTER, value: {{ .root.Values.cluster | quote }}}
  - {name: TALLYMAN_UNIT, valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/controller-uid']"}}}
  - {name: TALLYMAN_UNIT_NAME, valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/job-name']"}}}
  - {name: TALLYMAN_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
  - {name: TALLYMAN_POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: TALLYMAN_POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
  - {name: TALLYMAN_NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
  - {name: TALLYMAN_NATS_URL, value: {{ include "tallyman.nats.url" .root | quote }}}
  - {name: TALLYMAN_NATS_INBOX, value: {{ include "tallyman.nats.inbox" $q.user }}}
  {{- if .credentials }}
  - {name: TALLYMAN_NATS_CREDS, value: /etc/tallyman/nats/credentials}
  {{- end }}
  - {name: TALLYMAN_GRACE_SECONDS, value: {{ $q.graceSeconds | quote }}}
  - {name: TALLYMAN_PATIENCE_SECONDS, value: {{ $q.patienceSeconds | quote }}}
  - {name: TALLYMAN_LOG, value: {{ $q.log }}}
  {{- if .own }}
  - {name: TALLYMAN_CA_FILE, value: /opt/tallyman/ca.pem} # the image may have no certificates
  {{- end }}
  {{- with $q.storeDir }}
  - {name: TALLYMAN_STORE_DIR, value: {{ . | quote }}}
  {{- end }}
  {{- with $q.dataDir }}
  - {name: TALLYMAN_DATA_DIR, value: {{ . | quote }}}
  {{- end }}
  {{- include "tallyman.aws.env" .root | nindent 2 }}
  {{- with $q.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $q.envFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
resources: {{- toYaml (ternary $q.claimResources $q.resources (eq .do "claim")) | nindent 2 }}
volumeMounts:
  - {name: tallyman, mountPath: /tallyman}
  - {name: tmp, mountPath: /tmp}
  - {name: config, mountPath: /etc/tallyman/config, readOnly: true}
  {{- if .credentials }}
  - {name: nats, mountPath: /etc/tallyman/nats, readOnly: true}
  {{- end }}
  {{- if .own }}
  - {name: processor, mountPath: /opt/tallyman, readOnly: true}
  {{- end }}
  {{- with $q.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* `dedicated` is one word for nodes that a queue has for itself: the taint it tolerates is the label it wants. */}}
{{- define "tallyman.queuePlacement" -}}
{{- $p := pick . "nodeSelector" "affinity" "priorityClassName" -}}
{{- $tolerations := .tolerations | default list -}}
{{- with .dedicated -}}
{{- $tolerations = append $tolerations (dict "key" .key "operator" "Equal" "value" .value "effect" "NoSchedule") -}}
{{- $_ := set $p "nodeSelector" (merge (dict .key .value) ($p.nodeSelector | default dict)) -}}
{{- end -}}
{{- $_ := set $p "tolerations" $tolerations -}}
{{- toJson $p -}}
{{- end -}}
