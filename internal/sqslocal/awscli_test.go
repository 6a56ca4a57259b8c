package sqslocal_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tallyman/internal/sqslocal"
)

const awsCLIVersion = "1.46.3"

// TestAWSCLI drives the server as a person at a terminal does.
func TestAWSCLI(t *testing.T) {
	t.Parallel()
	s := serve(t, sqslocal.Options{})
	aws := awsCLI(t, s.URL())

	queue := aws("create-queue", "--queue-name", "orders", "--attributes", `{"VisibilityTimeout":"60"}`)["QueueUrl"].(string)
	if queue != s.QueueURL("orders") {
		t.Fatalf("queue URL is %s, want %s", queue, s.QueueURL("orders"))
	}
	sent := aws("send-message", "--queue-url", queue, "--message-body", `{"target":"127.0.0.1","duration":"10"}`,
		"--message-attributes", `{"trace":{"DataType":"String","StringValue":"00-1"}}`)
	aws("send-message-batch", "--queue-url", queue, "--entries", "Id=a,MessageBody=later,DelaySeconds=900")
	wantCounters(t, aws, queue, map[string]any{
		"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "1"})

	messages := aws("receive-message", "--queue-url", queue, "--wait-time-seconds", "1",
		"--attribute-names", "All", "--message-attribute-names", "All")["Messages"].([]any)
	message := messages[0].(map[string]any)
	want := map[string]any{"MessageId": sent["MessageId"], "Body": `{"target":"127.0.0.1","duration":"10"}`, "MD5OfMessageAttributes": sent["MD5OfMessageAttributes"]}
	if diff := cmp.Diff(want, map[string]any{"MessageId": message["MessageId"], "Body": message["Body"], "MD5OfMessageAttributes": message["MD5OfMessageAttributes"]}); diff != "" {
		t.Errorf("received message (-want +got):\n%s", diff)
	}
	handle := message["ReceiptHandle"].(string)
	aws("change-message-visibility", "--queue-url", queue, "--receipt-handle", handle, "--visibility-timeout", "120")
	aws("delete-message", "--queue-url", queue, "--receipt-handle", handle)
	aws("set-queue-attributes", "--queue-url", queue, "--attributes", "DelaySeconds=5")
	wantCounters(t, aws, queue, map[string]any{
		"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "1"})
	if got := aws("list-queues", "--queue-name-prefix", "ord")["QueueUrls"].([]any); len(got) != 1 || got[0] != queue {
		t.Errorf("list-queues says %v", got)
	}
	aws("purge-queue", "--queue-url", queue)
	aws("delete-queue", "--queue-url", queue)
	if got := aws("list-queues"); len(got) != 0 {
		t.Errorf("list-queues says %v after the queue was deleted", got)
	}
}

type awsCommand func(args ...string) map[string]any

func wantCounters(t *testing.T, aws awsCommand, queue string, want map[string]any) {
	t.Helper()
	got := aws("get-queue-attributes", "--queue-url", queue, "--attribute-names",
		"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")["Attributes"]
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

// awsCLI returns a function that runs `aws sqs` against the endpoint and
// decodes what it prints.
func awsCLI(t *testing.T, endpoint string) awsCommand {
	t.Helper()
	needs(t, "python3", "apt-get install python3 python3-venv")
	venv := installed(t, "awscli-"+awsCLIVersion, installAWSCLI)
	return func(args ...string) map[string]any {
		t.Helper()
		// Run as a module: the scripts of a virtual environment name the folder it was made in.
		all := append([]string{"-m", "awscli", "--endpoint-url", endpoint, "--region", "us-east-1", "--output", "json", "sqs"}, args...)
		command := exec.CommandContext(t.Context(), filepath.Join(venv, "bin", "python"), all...)
		command.Env = []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true", "HOME=" + t.TempDir(), "PATH=/usr/bin:/bin"}
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("aws sqs %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		answer := map[string]any{}
		if len(out) > 0 {
			if err := json.Unmarshal(out, &answer); err != nil {
				t.Fatalf("aws sqs %s printed %q: %v", strings.Join(args, " "), out, err)
			}
		}
		return answer
	}
}

func installAWSCLI(t *testing.T, folder string) {
	run(t, "python3", "-m", "venv", folder)
	run(t, filepath.Join(folder, "bin", "python"), "-m", "pip", "install", "-q", "awscli=="+awsCLIVersion)
}
