package chart

import (
	"os"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// where are the words of docs/permissions.md for what a rule leads to.
var where = []string{"DNS", "NATS", "SQS", "Pod Identity", "the Kubernetes API", "`networkPolicy.webhookEgress`", "its `egress`"}

// The table of docs/permissions.md says of every policy where it leads to, and no more.
func TestThePermissionsDocumentNamesWhereEveryPodMayConnectTo(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(permissions)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "\n## Network\n")
	cells := make(map[string]string)
	for line := range strings.Lines(section) {
		if row := strings.Split(line, "|"); len(row) == 5 {
			cells[strings.TrimSpace(row[1])] = row[3]
		}
	}
	policies := all[*networkingv1.NetworkPolicy](append(
		render(t, "helm3", "-f", "testdata/values/aws.yaml", "--set", "webhooks[0].name=a,webhooks[0].url=https://a.example,webhooks[0].secret.secret=a"),
		render(t, "helm3", "-f", "testdata/values/try.yaml")...))
	leads := make(map[string]string)
	for _, np := range policies {
		pods := np.Labels["app.kubernetes.io/component"]
		switch pods {
		case "processor":
			pods = "a queue's"
		case "nats", "sqs":
			pods = "bundled " + strings.ToUpper(pods)
		}
		for i := range np.Spec.Egress {
			leads[pods] += leadsTo(t, &np.Spec.Egress[i], pods) + "\n"
		}
		if leads[pods] == "" {
			leads[pods] = "nothing\n"
		}
	}
	if len(cells) != len(leads)+2 { // with the heading and the line below it
		t.Errorf("the table has %d rows, and there are policies of %d kinds of pods", len(cells)-2, len(leads))
	}
	for pods, to := range leads {
		for _, word := range append(where, "nothing") {
			if named, is := strings.Contains(cells[pods], word), strings.Contains(to, word+"\n"); named != is {
				t.Errorf("%s: may connect to %s: %v; docs/permissions.md names it: %v", pods, word, is, named)
			}
		}
	}
}

// leadsTo is where a rule leads to.
func leadsTo(t *testing.T, rule *networkingv1.NetworkPolicyEgressRule, pods string) string {
	t.Helper()
	if len(rule.Ports) == 0 {
		if pods == "scheduler" {
			return where[5]
		}
		return where[6]
	}
	switch port := rule.Ports[0].Port.IntValue(); {
	case port == 53:
		return where[0]
	case port == 4222:
		return where[1]
	case len(rule.Ports) == 2:
		return where[4]
	case port == 80 && strings.HasPrefix(rule.To[0].IPBlock.CIDR, "169.254.170.23/"):
		return where[3]
	case port == 443, port == 9324:
		return where[2]
	}
	t.Errorf("%s: nobody knows where this leads to: %+v", pods, rule)
	return ""
}
