package sqslocal

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// message is what a sender hands in and a receiver gets back.
type message struct {
	id    uuid.UUID
	body  string
	extra extra
}

// extra is what rides along with a body.
type extra struct {
	Attributes map[string]attributeValue `json:"a,omitempty"`
	GroupID    string                    `json:"g,omitempty"`
	Trace      string                    `json:"t,omitempty"`
}

// attributeValue is one message attribute.
type attributeValue struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`
	// SQS knows these two fields and refuses them: they are for later, it says.
	StringListValues json.RawMessage `json:",omitempty"`
	BinaryListValues json.RawMessage `json:",omitempty"`
}

// The first byte of a value in the digest says how the value travels.
const (
	stringTransport byte = 1
	binaryTransport byte = 2
)

func (v attributeValue) isBinary() bool {
	return v.DataType == "Binary" || strings.HasPrefix(v.DataType, "Binary.")
}

func (v attributeValue) bytes() []byte {
	if v.isBinary() {
		return v.BinaryValue
	}
	if v.StringValue == nil {
		return nil
	}
	return []byte(*v.StringValue)
}

func md5OfBody(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// md5OfAttributes is AWS's digest over attributes in the order of their names;
// each name, type and value goes in with its length before it. No attributes,
// no digest.
func md5OfAttributes(attributes map[string]attributeValue) string {
	if len(attributes) == 0 {
		return ""
	}
	digest := md5.New()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		value := attributes[name]
		writeSized(digest, []byte(name))
		writeSized(digest, []byte(value.DataType))
		if value.isBinary() {
			digest.Write([]byte{binaryTransport})
		} else {
			digest.Write([]byte{stringTransport})
		}
		writeSized(digest, value.bytes())
	}
	return hex.EncodeToString(digest.Sum(nil))
}

func writeSized(digest hash.Hash, part []byte) {
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(part)))
	digest.Write(size[:])
	digest.Write(part)
}

// size is what counts against the limit: the body, and each attribute's name, type and value.
func (m message) size() int {
	n := len(m.body)
	for name, value := range m.extra.Attributes {
		n += len(name) + len(value.DataType) + len(value.bytes())
	}
	return n
}

// legalText tells whether SQS takes s as a body or as a string value: XML 1.0's
// characters and no others.
func legalText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
}

var (
	attributeNameForm = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	groupIDForm       = regexp.MustCompile("^[A-Za-z0-9!\"#$%&'()*+,./:;<=>?@\\[\\\\\\]^_`{|}~-]{1,128}$")
	dataTypes         = []string{"String", "Number", "Binary"}
)

// checkMessageAttributes refuses what AWS refuses.
func checkMessageAttributes(attributes map[string]attributeValue) error {
	if len(attributes) > maxAttributes {
		return invalidParameterValue.errorf("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(attributes), maxAttributes)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := checkAttributeName(name); err != nil {
			return err
		}
		if err := checkAttributeValue(name, attributes[name]); err != nil {
			return err
		}
	}
	return nil
}

func checkAttributeName(name string) error {
	lower := strings.ToLower(name)
	switch {
	case len(name) > maxAttributeName:
		return invalidParameterValue.errorf("Length of message attribute name must be less than %d bytes.", maxAttributeName)
	case !attributeNameForm.MatchString(name), strings.HasPrefix(name, "."), strings.HasSuffix(name, "."), strings.Contains(name, ".."):
		return invalidParameterValue.errorf("Invalid message attribute name %q: letters, digits, underscore, hyphen and single inner periods.", clip(name))
	case strings.HasPrefix(lower, "aws."), strings.HasPrefix(lower, "amazon."):
		return invalidParameterValue.errorf("You can't use message attribute names beginning with 'AWS.' or 'Amazon.'.")
	}
	return nil
}

func checkAttributeValue(name string, value attributeValue) error {
	base, _, _ := strings.Cut(value.DataType, ".")
	switch {
	case value.DataType == "":
		return invalidParameterValue.errorf("The message attribute '%s' must contain a non-empty message attribute type.", name)
	case len(value.DataType) > maxAttributeName || !slices.Contains(dataTypes, base) || !legalText(value.DataType):
		return invalidParameterValue.errorf("The type of message attribute '%s' is invalid. You must use only the following supported type prefixes: Binary, Number, String.", name)
	case len(value.StringListValues) > 0 || len(value.BinaryListValues) > 0:
		return unsupportedOperation.errorf("Message attribute list values in message attribute '%s' are not supported.", name)
	case len(value.bytes()) == 0:
		return invalidParameterValue.errorf("Message (user) attribute '%s' must contain a non-empty value of type '%s'.", name, value.DataType)
	case base == "Binary" && value.StringValue != nil, base != "Binary" && value.BinaryValue != nil:
		return invalidParameterValue.errorf("The message attribute '%s' with type '%s' must use field '%s'.", name, value.DataType, fieldOf(base))
	case base != "Binary" && !legalText(*value.StringValue):
		return invalidMessageContents.errorf("Invalid characters in the value of message attribute '%s'.", name)
	case base == "Number" && !isNumber(*value.StringValue):
		return invalidParameterValue.errorf("Can't cast the value of message (user) attribute '%s' to a number.", name)
	}
	return nil
}

func fieldOf(base string) string {
	if base == "Binary" {
		return "Binary"
	}
	return "String"
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// selectAttributes returns those message attributes that the filters name.
func selectAttributes(all map[string]attributeValue, filters []string) map[string]attributeValue {
	if len(all) == 0 || len(filters) == 0 {
		return nil
	}
	chosen := map[string]attributeValue{}
	for name, value := range all {
		if slices.ContainsFunc(filters, func(filter string) bool { return filterTakes(filter, name) }) {
			chosen[name] = value
		}
	}
	return chosen
}

// filterTakes: a name takes itself, "prefix.*" every name that begins with the
// prefix, and "All", "*" and ".*" take everything.
func filterTakes(filter, name string) bool {
	if filter == name || filter == "All" || filter == "*" {
		return true
	}
	prefix, ok := strings.CutSuffix(filter, ".*")
	return ok && strings.HasPrefix(name, prefix)
}

// encode is the extra as it is stored: nothing at all when it is empty.
func (e extra) encode() (any, error) {
	if len(e.Attributes) == 0 && e.GroupID == "" && e.Trace == "" {
		return nil, nil
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("message attributes: %w", err)
	}
	return raw, nil
}

func decodeExtra(raw []byte) (e extra, err error) {
	if len(raw) == 0 {
		return e, nil
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return e, fmt.Errorf("message attributes: %w", err)
	}
	return e, nil
}
