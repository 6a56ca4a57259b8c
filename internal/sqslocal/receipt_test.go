package sqslocal

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestReceipt(t *testing.T) {
	t.Parallel()
	want := receipt{queue: 7, row: 1 << 40, message: uuid.New(), receive: 3}
	got, err := parseReceipt(want.handle(), 7)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(receipt{})); diff != "" {
		t.Error(diff)
	}
	raw, err := base64.StdEncoding.DecodeString(want.handle())
	if err != nil {
		t.Fatal(err)
	}
	raw[12] ^= 1
	for name, handle := range map[string]string{
		"garbage": "garbage", "not base64": "%%%", "empty of a batch": "AAAA", "a bit flipped": base64.StdEncoding.EncodeToString(raw),
		"another queue's": receipt{queue: 8, message: uuid.New()}.handle(),
	} {
		if _, err := parseReceipt(handle, 7); refusalOf(err) == nil || refusalOf(err).kind != receiptHandleIsInvalid {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	if _, err := parseReceipt("", 7); refusalOf(err) == nil || refusalOf(err).Code() != "MissingParameter" {
		t.Errorf("no handle: error is %v", err)
	}
}
