package sqslocal

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/google/uuid"
)

// receipt is what a receipt handle says: which message, of which queue, and
// which of its receives. It names the message by row and by its MessageId,
// because SQLite may give a row's number to a later message.
type receipt struct {
	queue   int64
	row     int64
	message uuid.UUID
	receive int64
}

const (
	receiptVersion = 1
	receiptBytes   = 1 + 8 + 8 + 16 + 8 + 4
)

// handle is the receipt as clients see it. The checksum is there to tell a
// handle from garbage, not to keep anybody out.
func (r receipt) handle() string {
	raw := make([]byte, 0, receiptBytes)
	raw = append(raw, receiptVersion)
	raw = binary.BigEndian.AppendUint64(raw, uint64(r.queue))
	raw = binary.BigEndian.AppendUint64(raw, uint64(r.row))
	raw = append(raw, r.message[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(r.receive))
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return base64.StdEncoding.EncodeToString(raw)
}

// parseReceipt reads a handle of the given queue.
func parseReceipt(handle string, queue int64) (receipt, error) {
	if handle == "" {
		return receipt{}, missing("ReceiptHandle")
	}
	raw, err := base64.StdEncoding.DecodeString(handle)
	if err != nil || len(raw) != receiptBytes || raw[0] != receiptVersion {
		return receipt{}, badReceipt(handle)
	}
	payload, sum := raw[:receiptBytes-4], raw[receiptBytes-4:]
	r := receipt{
		queue:   int64(binary.BigEndian.Uint64(payload[1:])),
		row:     int64(binary.BigEndian.Uint64(payload[9:])),
		message: uuid.UUID(payload[17:33]),
		receive: int64(binary.BigEndian.Uint64(payload[33:])),
	}
	if crc32.ChecksumIEEE(payload) != binary.BigEndian.Uint32(sum) || r.queue != queue {
		return receipt{}, badReceipt(handle)
	}
	return r, nil
}

func badReceipt(handle string) *Error {
	return receiptHandleIsInvalid.errorf("The input receipt handle %q is invalid.", clip(handle))
}

// clip keeps an answer that quotes its request short.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
