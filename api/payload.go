package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"tallyman/contract"
)

// payloadSchema is what a type's payload must look like.
type payloadSchema struct{ schema *jsonschema.Schema }

func schemaKey(queue, jobType string) string { return queue + "/" + jobType }

// compileSchemas reads the schema of every type that has one, and names every one that is none. A schema
// may not lead elsewhere: nothing is fetched and no file is opened for it.
func compileSchemas(c contract.Config) (map[string]*payloadSchema, error) {
	schemas := make(map[string]*payloadSchema)
	var faults []error
	for _, q := range c.Queues {
		for _, t := range q.Types {
			if len(t.Schema) == 0 {
				continue
			}
			schema, err := compileSchema(t.Schema)
			if err != nil {
				faults = append(faults, fmt.Errorf("configuration: queue %s, type %s: schema: %w", q.Name, t.Name, err))
				continue
			}
			schemas[schemaKey(q.Name, t.Name)] = &payloadSchema{schema}
		}
	}
	return schemas, errors.Join(faults...)
}

func compileSchema(raw []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if place := beyondMeasure(doc, []string{}); place != nil {
		return nil, fmt.Errorf("%s: %s", jsonPointer(place), tooManyDigits)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{}) // knows no scheme, so it loads nothing
	if err := c.AddResource("payload.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("payload.json")
}

// check gives every place of the payload that the schema refuses.
func (s *payloadSchema) check(payload []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		return contract.Errorf(contract.CodeMalformed, "payload", "%v", err)
	}
	if place := beyondMeasure(doc, []string{"payload"}); place != nil {
		return faults{faultOf(place, tooManyDigits)}
	}
	var bad *jsonschema.ValidationError
	if err := s.schema.Validate(doc); !errors.As(err, &bad) {
		return err
	}
	var found faults
	collect(bad, message.NewPrinter(language.English), &found)
	return found
}

// maxDigits is the most that a number may have, written out, where a schema is held against it. The library makes an
// exact fraction of each: of a short text like 1e1000000 that takes long, and beyond it the library panics. A
// float64 has 309 digits at most.
const maxDigits = 400

var tooManyDigits = fmt.Sprintf("is a number of more than %d digits; write it as a string", maxDigits)

// beyondMeasure gives the way to the first such number, nil where there is none.
func beyondMeasure(value any, at []string) []string {
	switch v := value.(type) {
	case json.Number:
		if tooLong(string(v)) {
			return at
		}
	case []any:
		for i, item := range v {
			if place := beyondMeasure(item, append(at, strconv.Itoa(i))); place != nil {
				return place
			}
		}
	case map[string]any:
		for name, item := range v {
			if place := beyondMeasure(item, append(at, name)); place != nil {
				return place
			}
		}
	}
	return nil
}

func tooLong(number string) bool {
	i := strings.IndexAny(number, "eE")
	if i < 0 {
		return len(number) > maxDigits
	}
	exponent, err := strconv.Atoi(number[i+1:])
	return err != nil || max(exponent, -exponent)+i > maxDigits
}

// collect walks to the leaves: what stands above them only says that something below is wrong.
func collect(e *jsonschema.ValidationError, p *message.Printer, found *faults) {
	for _, cause := range e.Causes {
		collect(cause, p, found)
	}
	if len(e.Causes) > 0 || len(*found) >= maxFaults {
		return
	}
	path := slices.Concat([]string{"payload"}, e.InstanceLocation)
	found.add(faultOf(path, e.ErrorKind.LocalizedString(p)))
}

func faultOf(path []string, what string) fault {
	field := contract.CutText(strings.Join(path, "."), contract.MaxNameBytes)
	return fault{
		Code: contract.CodeInvalidPayload, Field: field, Pointer: contract.CutText(jsonPointer(path), contract.MaxNameBytes),
		Detail: field + ": " + contract.CutText(what, contract.MaxMessageBytes),
	}
}

func jsonPointer(path []string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	b.WriteByte('#')
	for _, token := range path {
		b.WriteByte('/')
		b.WriteString(escape.Replace(token))
	}
	return b.String()
}
