{{/* How far an audit goes, which api and scheduler both make. */}}
{{- define "tallyman.audit" -}}
{{- dict "name" "TALLYMAN_AUDIT_EVENTS" "value" (int64 .Values.scheduler.auditEvents | toString) | toJson -}}
{{- end -}}

{{/*
The Deployment of api, scheduler, bridge or aggregator. Takes root, component, port (of its own, if any), config
(whether it reads queues), aws (whether it speaks to SQS), token (whether it mounts the api's Kubernetes token),
env, mounts and volumes of its own. What differs between them is said in their own files.
*/}}
{{- define "tallyman.component" -}}
{{- $root := .root }}
{{- $c := index .root.Values .component }}
{{- $names := dict "root" .root "component" .component }}
{{- $secret := include "tallyman.nats.secret" (dict "root" .root "user" .component) | fromJson }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "tallyman.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "tallyman.labels" $names | nindent 4 }}
spec:
  replicas: {{ $c.replicas }}
  revisionHistoryLimit: 3
  # A new pod is ready before an old one goes, so that an upgrade is no outage.
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector:
    matchLabels: {{- include "tallyman.selector" $names | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "tallyman.labels" $names | nindent 8 }}
        {{- with $c.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .component }}
        {{- if .config }}
        # Its configuration is read at the start, so another one needs another pod.
        checksum/config: {{ include "tallyman.config.whole" .root | sha256sum }}
        {{- end }}
        {{- with $c.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "tallyman.serviceAccount" $names }}
      automountServiceAccountToken: {{ .token | default false }}
      enableServiceLinks: false # a Service's variables would look like ours
      {{- include "tallyman.pullSecrets" .root.Values.image.pullSecrets | nindent 6 }}
      securityContext: {{- include "tallyman.podSecurity" . | nindent 8 }}
      # 5 s until nobody sends to it any more, 25 s in which it ends by itself, and some to spare.
      terminationGracePeriodSeconds: 40
      topologySpreadConstraints:
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          matchLabelKeys: [pod-template-hash]
          labelSelector:
            matchLabels: {{- include "tallyman.selector" $names | nindent 14 }}
        {{- end }}
      {{- include "tallyman.placement" $c | nindent 6 }}
      containers:
        - name: {{ .component }}
          image: {{ include "tallyman.image" (dict "root" .root "image" $c.image) }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          securityContext: {{- include "tallyman.containerSecurity" . | nindent 12 }}
          terminationMessagePolicy: FallbackToLogsOnError
          env:
            - {name: TALLYMAN_ADMIN, value: ":8081"}
            - {name: TALLYMAN_LOG, value: {{ .root.Values.log }}}
            - {name: TALLYMAN_NATS_URL, value: {{ include "tallyman.nats.url" .root | quote }}}
            - {name: TALLYMAN_NATS_INBOX, value: {{ include "tallyman.nats.inbox" .component }}}
            {{- if $secret.name }}
            - {name: TALLYMAN_NATS_CREDENTIALS, value: /etc/tallyman/nats/credentials}
            {{- end }}
            {{- if .root.Values.nats.bundled }}
            - {name: TALLYMAN_REPLICAS, value: "1"}
            - {name: TALLYMAN_ALLOW_FEWER_REPLICAS, value: "true"}
            {{- else }}
            - {name: TALLYMAN_REPLICAS, value: {{ .root.Values.nats.replicas | quote }}}
            - {name: TALLYMAN_ALLOW_FEWER_REPLICAS, value: {{ .root.Values.nats.allowFewerReplicas | quote }}}
            {{- end }}
            - {name: TALLYMAN_MAKE_STREAMS, value: {{ eq .component "aggregator" | quote }}}
            {{- if .config }}
            - {name: TALLYMAN_CONFIG, value: /etc/tallyman/config/config.json}
            {{- end }}
            {{- with .env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
            {{- if .aws }}
            {{- include "tallyman.aws.env" .root | nindent 12 }}
            {{- end }}
            {{- with $c.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            {{- with .port }}
            - {name: http, containerPort: {{ . }}}
            {{- end }}
            - {name: admin, containerPort: 8081}
          # It may wait for NATS for as long as it likes: that is not ready, and no reason to be killed.
          startupProbe: {httpGet: {path: /healthz, port: admin}, periodSeconds: 1, failureThreshold: 60}
          livenessProbe: {httpGet: {path: /healthz, port: admin}, periodSeconds: 10, timeoutSeconds: 3}
          readinessProbe: {httpGet: {path: /readyz, port: admin}, periodSeconds: 5, timeoutSeconds: 6}
          lifecycle: {preStop: {sleep: {seconds: 5}}}
          resources: {{- toYaml $c.resources | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if .config }}
            - {name: config, mountPath: /etc/tallyman/config, readOnly: true}
            {{- end }}
            {{- if $secret.name }}
            - {name: nats, mountPath: /etc/tallyman/nats, readOnly: true}
            {{- end }}
            {{- with .mounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
        {{- if .config }}
        - name: config
          configMap: {name: {{ include "tallyman.fullname" .root }}-config}
        {{- end }}
        {{- if $secret.name }}
        - name: nats
          secret:
            secretName: {{ $secret.name }}
            defaultMode: 0440
            items: [{key: {{ $secret.key }}, path: credentials}]
        {{- end }}
        {{- with .volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "tallyman.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "tallyman.labels" $names | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "tallyman.selector" $names | nindent 6 }}
{{- if $c.serviceAccount.create }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "tallyman.serviceAccount" $names }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "tallyman.labels" $names | nindent 4 }}
  {{- with $c.serviceAccount.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- end -}}
