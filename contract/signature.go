package contract

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Headers of a delivery.
const (
	HeaderSignature = "Tallyman-Signature" // t=<Unix seconds>,v1=<hex>, one v1 for each secret
	HeaderWebhook   = "Tallyman-Webhook"   // its name
	HeaderSequence  = "Tallyman-Sequence"  // of the event in the stream
)

// MinSecret is how many bytes a secret has at least: fewer can be guessed from one delivery.
const MinSecret = 16

// SignWebhook gives the signature of a body: HMAC-SHA256 over the time, a full stop and the body.
func SignWebhook(secrets [][]byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	signature := "t=" + t
	for _, secret := range secrets {
		signature += ",v1=" + hex.EncodeToString(mac(secret, t, body))
	}
	return signature
}

func mac(secret []byte, t string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(t + ".")) // a hash takes everything
	h.Write(body)
	return h.Sum(nil)
}

// VerifyWebhook tells whoever is called whether a delivery is ours: signed with the secret, and no more than
// tolerance away from now, so that nobody can say it again later.
func VerifyWebhook(signature string, secret, body []byte, now time.Time, tolerance time.Duration) error {
	var t string
	var sums []string
	for part := range strings.SplitSeq(signature, ",") {
		switch key, value, _ := strings.Cut(part, "="); key {
		case "t":
			t = value
		case "v1":
			sums = append(sums, value)
		}
	}
	seconds, err := strconv.ParseInt(t, 10, 64)
	if err != nil {
		return fmt.Errorf("%s: there is no time in it", HeaderSignature)
	}
	if away := now.Sub(time.Unix(seconds, 0)).Abs(); away > tolerance {
		return fmt.Errorf("%s: it is %s away from now, at most %s are tolerated", HeaderSignature, away, tolerance)
	}
	want := mac(secret, t, body)
	for _, sum := range sums {
		if got, err := hex.DecodeString(sum); err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New(HeaderSignature + ": it was not made with this secret")
}
