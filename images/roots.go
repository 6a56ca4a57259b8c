package main

import (
	"bytes"
	"encoding/pem"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// rootsPath is where Go and OpenSSL look by themselves; SSL_CERT_FILE tells everything else.
const rootsPath = "/etc/ssl/certs/ca-certificates.crt"

// roots writes Mozilla's certificate authorities as one PEM file. They come from a Go module, whose version and
// checksum are in go.mod and go.sum: a Debian machine has those of the day it was last updated, and two builds would
// differ. Authorities that are trusted under a condition are left out, since a PEM file cannot say the condition.
func roots() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			// A buffer takes every write.
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return b.Bytes()
}
