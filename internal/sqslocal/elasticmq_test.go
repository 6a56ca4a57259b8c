package sqslocal_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman/internal/sqslocal/sqstest"
)

const elasticMQVersion = "1.7.1"

// elasticMQDiffers is what ElasticMQ is known to do otherwise than AWS says.
var elasticMQDiffers = map[string]string{
	// Queues and their attributes.
	"create refuses illegal names":                            "InvalidAttributeName in place of InvalidParameterValue",
	"create refuses an unknown attribute":                     "accepts it",
	"create refuses a value out of range":                     "accepts it",
	"list has pages":                                          "everything is on one page",
	"purge twice in a minute is PurgeQueueInProgress":         "purges again",
	"a new queue has AWS's defaults":                          "has neither MessageRetentionPeriod nor MaximumMessageSize",
	"asking for an unknown attribute is InvalidAttributeName": "ignores it",
	"setting one attribute leaves the others":                 "has no MessageRetentionPeriod to set",
	"values out of range are InvalidAttributeValue":           "accepts them",
	"a value that is no number is InvalidAttributeValue":      "answers 500",
	"a refused setting changes nothing":                       "accepts a negative VisibilityTimeout",
	"the policy can be taken away":                            "refuses an empty RedrivePolicy",

	// Messages.
	"an empty body is refused":                                "InvalidAttributeValue in place of MissingParameter",
	"characters outside of XML are InvalidMessageContents":    "InvalidAttributeValue in place of InvalidMessageContents",
	"a body of 1 MiB and a byte is refused":                   "InvalidAttributeValue in place of InvalidParameterValue",
	"attributes count against the size":                       "counts the body alone",
	"the queue's MaximumMessageSize is kept":                  "has no MaximumMessageSize",
	"receive refuses a number out of range":                   "InvalidAttributeValue in place of InvalidParameterValue",
	"receive refuses a wait out of range":                     "InvalidAttributeValue in place of InvalidParameterValue",
	"receive refuses a visibility out of range":               "accepts it",
	"attributes asked for by prefix, and the digest of those": "knows no prefixes",
	"eleven attributes are refused":                           "InvalidAttributeValue in place of InvalidParameterValue",
	"an empty attribute value is refused":                     "InvalidAttributeValue in place of InvalidParameterValue",
	"a number that is none is refused":                        "InvalidAttributeValue in place of InvalidParameterValue",
	"AWS's own attribute names are refused":                   "accepts them",
	"the trace header is carried, with AWS's digest":          "sends no digest of system attributes",

	// Batches.
	"an entry larger than the queue's messages fails alone": "has no MaximumMessageSize",
	"an entry of characters outside of XML fails alone":     "InvalidAttributeValue in place of InvalidMessageContents",
	"an empty batch is EmptyBatchRequest":                   "accepts it",
	"an illegal id is InvalidBatchEntryId":                  "accepts it",
	"a batch over 1 MiB is BatchRequestTooLong":             "InvalidAttributeValue in place of BatchRequestTooLong",

	// Visibility and receipt handles.
	"changing a released message is MessageNotInflight":   "hides it again",
	"changing a deleted message is InvalidParameterValue": "ReceiptHandleIsInvalid in place of InvalidParameterValue",
	"visibility out of range is refused":                  "accepts it",
	"an older handle deletes nothing and is no error":     "ReceiptHandleIsInvalid",
	"deleting twice is no error":                          "ReceiptHandleIsInvalid",

	// Long polls and the protocol.
	"a cancelled long poll takes nothing":                  "the message goes to the receiver that has gone",
	"an error has its type, its query code and status 400": "x-amzn-query-error holds the type, and message is spelt Message",
	"answers are JSON 1.0":                                 "application/json",
	"a field of the wrong type is the caller's mistake":    "answers 500",
	"a missing queue URL is the caller's mistake":          "answers 500",
}

// TestConformanceOfElasticMQ holds the checks themselves to account: a server
// that others wrote, from the same documents, has to pass them too.
func TestConformanceOfElasticMQ(t *testing.T) {
	t.Parallel()
	sqstest.Exercise(t, sqstest.Target{Endpoint: startElasticMQ(t), Differs: elasticMQDiffers})
}

const elasticMQProject = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>dev.tallyman</groupId><artifactId>elasticmq</artifactId><version>1</version>
<dependencies><dependency><groupId>org.elasticmq</groupId><artifactId>elasticmq-server_2.13</artifactId><version>%s</version></dependency></dependencies>
</project>`

const elasticMQConfig = `include classpath("application.conf")
node-address { protocol = http, host = "127.0.0.1", port = %[1]d, context-path = "" }
rest-sqs { enabled = true, bind-port = %[1]d, bind-hostname = "127.0.0.1", sqs-limits = strict }
rest-stats { enabled = false }
aws { region = us-east-1, accountId = 000000000000 }
`

// startElasticMQ runs ElasticMQ until the test has ended and returns its endpoint.
func startElasticMQ(t *testing.T) string {
	t.Helper()
	needs(t, "java", "apt-get install default-jre-headless (Java 17 or later)")
	jars := installed(t, "elasticmq-"+elasticMQVersion, installElasticMQ)
	port := freePort(t)
	config := filepath.Join(t.TempDir(), "elasticmq.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, elasticMQConfig, port), 0o600); err != nil {
		t.Fatal(err)
	}
	// The context of the test ends before its parallel subtests do.
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	java := exec.CommandContext(ctx, "java", "-Xmx512m", "-Dconfig.file="+config, "-cp", filepath.Join(jars, "*"), "org.elasticmq.server.Main")
	out, err := java.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	java.Stderr = java.Stdout
	if err := java.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = java.Wait() // it was killed, and says so
	})
	awaitLine(t, out, "started in")
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}

func installElasticMQ(t *testing.T, folder string) {
	needs(t, "mvn", "apt-get install maven")
	project := filepath.Join(t.TempDir(), "pom.xml")
	if err := os.WriteFile(project, fmt.Appendf(nil, elasticMQProject, elasticMQVersion), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "mvn", "-q", "-B", "-f", project, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+folder)
}

// needs fails the test with what to install: a suite that skips in silence
// proves nothing.
func needs(t *testing.T, program, install string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("this test needs %s: %s", program, install)
	}
}

// installed is a folder in the user's cache that install has filled once. It is
// filled aside and renamed, so that a half-filled one is never used.
func installed(t *testing.T, name string, install func(*testing.T, string)) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(cache, "tallyman", name)
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	aside, err := os.MkdirTemp(filepath.Dir(folder), name+".*")
	if err != nil {
		t.Fatal(err)
	}
	install(t, aside)
	if err := os.Rename(aside, folder); err != nil {
		if _, other := os.Stat(folder); other != nil { // else somebody was faster
			t.Fatal(err)
		}
	}
	return folder
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // it only held the number
	return l.Addr().(*net.TCPAddr).Port
}

// awaitLine reads until a line holds the mark, and goes on reading, so that the
// writer is never blocked.
func awaitLine(t *testing.T, out io.Reader, mark string) {
	t.Helper()
	found, lines := make(chan struct{}), make(chan string, 1)
	go func() {
		var seen []string
		scanner := bufio.NewScanner(out)
		for scanner.Scan() {
			if seen = append(seen, scanner.Text()); strings.Contains(scanner.Text(), mark) {
				close(found)
				_, _ = io.Copy(io.Discard, out)
				return
			}
		}
		lines <- strings.Join(seen, "\n")
	}()
	select {
	case <-found:
	case all := <-lines:
		t.Fatalf("the program ended before it said %q:\n%s", mark, all)
	case <-time.After(time.Minute):
		t.Fatalf("the program has not said %q in a minute", mark)
	}
}
