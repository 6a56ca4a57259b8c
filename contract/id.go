package contract

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"time"
)

// NewJobID makes a UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then randomness.
func NewJobID(now time.Time, random io.Reader) (string, error) {
	var u [16]byte
	if _, err := io.ReadFull(random, u[6:]); err != nil {
		return "", err
	}
	ms := uint64(now.UnixMilli())
	u[0], u[1], u[2] = byte(ms>>40), byte(ms>>32), byte(ms>>24)
	u[3], u[4], u[5] = byte(ms>>16), byte(ms>>8), byte(ms)
	return formatUUID(u, 7), nil
}

// TickID is the id of the job that a schedule makes at a tick (its nominal time).
func TickID(schedule string, tick time.Time) string {
	return derivedID("tick", schedule, At(tick).String())
}

// ForeignID is the id of a job whose message was not sent by us.
func ForeignID(queue, messageID string) string { return derivedID("foreign", queue, messageID) }

// KeyID is the id of a job posted with an Idempotency-Key: the same submitter and key, the same job.
func KeyID(submitter, key string) string { return derivedID("key", submitter, key) }

// ScheduleKeyID is the id of a schedule posted with an Idempotency-Key, which may name a job as well.
func ScheduleKeyID(submitter, key string) string { return derivedID("schedule-key", submitter, key) }

// derivedID hashes three length-prefixed strings, so that no two triples can run into one another.
func derivedID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		io.WriteString(h, p)
	}
	var u [16]byte
	copy(u[:], h.Sum(nil))
	return formatUUID(u, 8) // version 8: a UUID of its maker's own rules
}

func formatUUID(u [16]byte, version byte) string {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	s := hex.EncodeToString(u[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// ReceiptHash names one receiving of a message in the id of a unit's fact: 16 hexadecimal digits.
func ReceiptHash(receipt string) string {
	h := sha256.Sum256([]byte(receipt))
	return hex.EncodeToString(h[:8])
}

// ValidJobID tells whether s is a UUID in lower case.
func ValidJobID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	const digits = (1<<10-1)<<'0' | 1<<'-'
	const letters = (1<<6 - 1) << ('a' - 64)
	dashes := 0
	for i := range len(s) {
		if !inSet(s[i], digits, letters) {
			return false
		}
		if s[i] == '-' {
			dashes++
		}
	}
	return dashes == 4
}

// inSet looks a byte up in two words of bits: those of 0 to 63, and those of 64 to 127. Every event has
// some two hundred bytes to look up.
func inSet(c byte, low, high uint64) bool {
	word := low
	if c >= 64 {
		word = high
	}
	return c < 128 && word>>(c&63)&1 != 0
}

// MaxToken is the most characters that a queue, a type, a unit or a schedule id may have.
const MaxToken = 64

// ValidToken tells whether s may be one token of a subject and of a key: 1 to 64 of [A-Za-z0-9_-].
func ValidToken(s string) bool {
	if s == "" || len(s) > MaxToken {
		return false
	}
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return true
}

func isTokenByte(c byte) bool {
	const digits = (1<<10-1)<<'0' | 1<<'-'
	const letters = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64) | 1<<('_'-64)
	return inSet(c, digits, letters)
}

// ValidLabel tells whether s is 1 to limit printable ASCII characters without spaces: a tag, a submitter.
func ValidLabel(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
