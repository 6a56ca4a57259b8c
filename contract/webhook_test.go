package contract

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const oneQueue = `"queues":[{"name":"q","types":[{"name":"probe"}]}]`

func TestWebhookDefaults(t *testing.T) {
	t.Parallel()
	c, err := DecodeConfig([]byte(`{` + oneQueue + `,"webhooks":[{"name":"ours","url":"https://hooks.example/x?y=1","secretFile":"/s",
		"events":["failed"],"allow":["127.0.0.0/8","fe80::/10"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Webhook{
		Name: "ours", URL: "https://hooks.example/x?y=1", SecretFile: "/s", Events: []Kind{Failed},
		Timeout: DefaultWebhookTimeout, RetryFor: DefaultRetryFor, Allow: []string{"127.0.0.0/8", "fe80::/10"},
	}
	if diff := cmp.Diff(want, c.Webhook("ours")); diff != "" || c.Webhook("theirs") != nil {
		t.Error(diff)
	}
}

func TestWebhookFaultsAreNamed(t *testing.T) {
	t.Parallel()
	_, err := DecodeConfig([]byte(`{` + oneQueue + `,"webhooks":[
		{"name":"a.b","url":"ftp://h","queues":["a b"],"types":[""],"events":["done"],"timeout":"2m","retryFor":"999h","allow":["localhost"],"secret":"x"},
		{"name":"ours","url":"https://me:password@h/","secretFile":"/s"},
		{"name":"ours","url":"http:///path","secretFile":"/s"}]}`))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"webhooks[0].name", "webhooks[0].url", "webhooks[0].secretFile", "webhooks[0].queues", "webhooks[0].types", "webhooks[0].events",
		"webhooks[0].timeout", "webhooks[0].retryFor", "webhooks[0].allow", "webhooks[0].secret: there is no such setting",
		"webhooks[1].url", `webhooks[2].name: "ours" stands twice`, "webhooks[2].url",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "password") {
		t.Errorf("a secret is said: %v", err)
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	old, fresh, body := []byte("the-old-secret-of-ours"), []byte("the-new-secret-of-ours"), []byte(`{"id":"x"}`)
	signature := SignWebhook([][]byte{old, fresh}, at, body)
	// echo -n '1800000000.{"id":"x"}' | openssl dgst -sha256 -hmac the-old-secret-of-ours
	const want = "t=1800000000,v1=ccfba3ed29d349a775b9acbc3a24c97fdf2a8a16f9a1bfd6e2eef00bcaf2e070,v1="
	if !strings.HasPrefix(signature, want) || strings.Count(signature, ",v1=") != 2 {
		t.Errorf("signature %s", signature)
	}
	for _, secret := range [][]byte{old, fresh} {
		if err := VerifyWebhook(signature, secret, body, at.Add(time.Minute), 5*time.Minute); err != nil {
			t.Error(err)
		}
	}
	for name, err := range map[string]error{
		"another secret": VerifyWebhook(signature, []byte("the-third-secret"), body, at, time.Minute),
		"another body":   VerifyWebhook(signature, old, []byte(`{"id":"y"}`), at, time.Minute),
		"later":          VerifyWebhook(signature, old, body, at.Add(2*time.Minute), time.Minute),
		"another time":   VerifyWebhook(strings.Replace(signature, "t=1", "t=2", 1), old, body, time.Unix(2_800_000_000, 0), time.Minute),
		"no time":        VerifyWebhook("v1=00", old, body, at, time.Minute),
		"nothing":        VerifyWebhook("", old, body, at, time.Minute),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
