package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"tallyman/contract"
)

// spec is openapi.yaml, ready to hold requests and responses to.
type spec struct {
	doc   map[string]any
	paths []specPath
	mu    sync.Mutex
	comp  *jsonschema.Compiler
}

type specPath struct {
	path    string
	pattern *regexp.Regexp
	item    map[string]any
}

func mustSpec() *spec {
	raw, err := yaml.YAMLToJSON(openAPI)
	if err != nil {
		panic(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	s := &spec{doc: doc.(map[string]any), comp: jsonschema.NewCompiler()}
	s.comp.AssertFormat()
	if err := s.comp.AddResource("openapi.json", doc); err != nil {
		panic(err)
	}
	for path, item := range s.doc["paths"].(map[string]any) {
		expr := regexp.MustCompile(`\{[^}]+\}`).ReplaceAllString(path, `([^/]+)`)
		s.paths = append(s.paths, specPath{path, regexp.MustCompile("^" + expr + "$"), item.(map[string]any)})
	}
	// A literal path stands before one with a parameter, as OpenAPI has it.
	slices.SortFunc(s.paths, func(a, b specPath) int {
		return strings.Count(a.path, "{") - strings.Count(b.path, "{")
	})
	return s
}

// find gives the operation of a request, and the JSON Pointer to it; nil where the description has none.
func (s *spec) find(method, path string) (op map[string]any, pointer string) {
	for _, p := range s.paths {
		if !p.pattern.MatchString(path) {
			continue
		}
		op, _ := p.item[strings.ToLower(method)].(map[string]any)
		return op, "/paths/" + escapePointer(p.path) + "/" + strings.ToLower(method)
	}
	return nil, ""
}

func escapePointer(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}

// resolve follows a $ref within the document.
func (s *spec) resolve(node map[string]any, pointer string) (map[string]any, string) {
	ref, ok := node["$ref"].(string)
	if !ok {
		return node, pointer
	}
	var at any = s.doc
	pointer = strings.TrimPrefix(ref, "#")
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		at = at.(map[string]any)[token]
	}
	return at.(map[string]any), pointer
}

func (s *spec) validate(pointer string, body []byte) error {
	s.mu.Lock()
	schema, err := s.comp.Compile("openapi.json#" + pointer)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	if err := schema.Validate(v); err != nil {
		return fmt.Errorf("%w\n%s", err, body)
	}
	return nil
}

// request holds the body of a request that was accepted to the description.
func (s *spec) request(op map[string]any, pointer string, body []byte) error {
	rb, ok := op["requestBody"].(map[string]any)
	switch {
	case !ok && len(body) > 0:
		return fmt.Errorf("a body was accepted where none is described")
	case !ok || len(body) == 0 && rb["required"] != true:
		return nil
	}
	return s.validate(pointer+"/requestBody/content/application~1json/schema", body)
}

// response holds a response to the description: status, headers, content type, body.
func (s *spec) response(op map[string]any, pointer string, res *http.Response, body []byte) error {
	status := strconv.Itoa(res.StatusCode)
	node, ok := op["responses"].(map[string]any)[status].(map[string]any)
	if !ok {
		return fmt.Errorf("status %s is not described: %s", status, body)
	}
	node, pointer = s.resolve(node, pointer+"/responses/"+status)
	headers, _ := node["headers"].(map[string]any)
	for name := range headers {
		if res.Header.Get(name) == "" {
			return fmt.Errorf("status %s has no header %s", status, name)
		}
	}
	content, ok := node["content"].(map[string]any)
	if !ok {
		if len(body) > 0 {
			return fmt.Errorf("status %s has a body: %s", status, body)
		}
		return nil
	}
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if _, ok := content[kind]; !ok {
		return fmt.Errorf("content type %q is not described", kind)
	}
	if !strings.HasSuffix(kind, "json") {
		return nil
	}
	return s.validate(pointer+"/content/"+escapePointer(kind)+"/schema", body)
}

// checkingTransport fails a request whose answer is not as described. Bodies of streams are not read.
type checkingTransport struct {
	spec *spec
	mu   sync.Mutex
	seen map[string]bool // "operation status"
}

func newTransport() *checkingTransport {
	return &checkingTransport{spec: mustSpec(), seen: make(map[string]bool)}
}

func (c *checkingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	op, pointer := c.spec.find(req.Method, req.URL.Path)
	if op == nil || strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		c.saw(op, res.StatusCode)
		return res, nil
	}
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(got))
	if err := c.spec.response(op, pointer, res, got); err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	if res.StatusCode < 300 && op["operationId"] != "submitBatch" { // which is accepted in part
		if err := c.spec.request(op, pointer, sent); err != nil {
			return nil, fmt.Errorf("%s %s was accepted: %w", req.Method, req.URL.Path, err)
		}
	}
	c.saw(op, res.StatusCode)
	return res, nil
}

func (c *checkingTransport) saw(op map[string]any, status int) {
	if op == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[fmt.Sprintf("%s %d", op["operationId"], status)] = true
}

// all lists every operation with every status that it describes.
func (s *spec) all() (pairs []string) {
	for _, p := range s.paths {
		for _, node := range p.item {
			op, ok := node.(map[string]any)
			if !ok || op["operationId"] == nil {
				continue
			}
			for status := range maps.Keys(op["responses"].(map[string]any)) {
				pairs = append(pairs, fmt.Sprintf("%s %s", op["operationId"], status))
			}
		}
	}
	slices.Sort(pairs)
	return pairs
}

func TestSpecExamplesAreValid(t *testing.T) {
	t.Parallel()
	s := mustSpec()
	found := 0
	for _, p := range s.paths {
		for method, node := range p.item {
			op, ok := node.(map[string]any)
			if !ok {
				continue
			}
			rb, _ := op["requestBody"].(map[string]any)
			if rb == nil {
				continue
			}
			content := rb["content"].(map[string]any)["application/json"].(map[string]any)
			for name, example := range content["examples"].(map[string]any) {
				b, err := json.Marshal(example.(map[string]any)["value"])
				if err != nil {
					t.Fatal(err)
				}
				found++
				if err := s.request(op, "/paths/"+escapePointer(p.path)+"/"+method, b); err != nil {
					t.Errorf("%s %s, example %s: %v", method, p.path, name, err)
				}
			}
		}
	}
	if found == 0 {
		t.Fatal("no examples")
	}
}

// The routes and the description are the same list; HEAD comes with GET, and the page is not described.
func TestSpecHasEveryRoute(t *testing.T) {
	t.Parallel()
	described := make(map[string]bool)
	for _, p := range mustSpec().paths {
		for method, node := range p.item {
			if op, ok := node.(map[string]any); ok && op["operationId"] != nil {
				described[strings.ToUpper(method)+" "+p.path] = true
			}
		}
	}
	w := newWorld(t)
	served := make(map[string]bool)
	param := regexp.MustCompile(`:(\w+)(<\w+>)?`)
	for _, r := range w.server.app.GetRoutes(true) {
		path := param.ReplaceAllString(r.Path, "{$1}")
		if r.Method != http.MethodHead && !strings.HasPrefix(path, "/docs") && path != "/" && path != "/openapi.json" {
			served[r.Method+" "+path] = true
		}
	}
	for route := range served {
		if !described[route] {
			t.Errorf("%s is served and not described", route)
		}
	}
	for route := range described {
		if !served[route] {
			t.Errorf("%s is described and not served", route)
		}
	}
}

// The fields of every answer are those of its schema, also those that are seldom there: a schema which allows no others
// would make a client refuse the answer, and one that asks for a field which may be left out, too.
func TestSpecHasEveryField(t *testing.T) {
	t.Parallel()
	s := mustSpec()
	for name, v := range map[string]any{
		"AuditReport": contract.AuditReport{}, "BatchResult": batchResult{}, "Cancelled": cancelled{}, "Diagnosis": contract.Diagnosis{},
		"Explanation": contract.Explanation{}, "Health": status{}, "Job": view{}, "JobEvents": jobHistory{}, "JobPage": jobPage{},
		"Problem": problem{}, "Purged": purged{}, "Receipt": receipt{}, "Schedule": scheduleView{}, "Stats": contract.Stats{}, "Webhook": webhookView{},
	} {
		s.sameFields(t, name, s.doc["components"].(map[string]any)["schemas"].(map[string]any)[name].(map[string]any), reflect.TypeOf(v))
	}
}

// sameFields compares a type with its schema; what writes itself is a value like any other.
func (s *spec) sameFields(t *testing.T, at string, schema map[string]any, typ reflect.Type) {
	t.Helper()
	schema, _ = s.resolve(schema, "")
	if choices, ok := schema["oneOf"].([]any); ok { // null, or
		schema = choices[len(choices)-1].(map[string]any)
	}
	switch {
	case typ.Implements(reflect.TypeFor[json.Marshaler]()):
	case typ.Kind() == reflect.Pointer:
		s.sameFields(t, at, schema, typ.Elem())
	case typ.Kind() == reflect.Slice && schema["items"] != nil:
		s.sameFields(t, at+"[]", schema["items"].(map[string]any), typ.Elem())
	case typ.Kind() == reflect.Map:
		s.sameFields(t, at+"{}", schema["additionalProperties"].(map[string]any), typ.Elem())
	case typ.Kind() == reflect.Struct:
		properties, _ := schema["properties"].(map[string]any)
		fields := make(map[string]bool)
		for _, f := range reflect.VisibleFields(typ) {
			name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous {
				continue
			}
			property, ok := properties[name].(map[string]any)
			required, _ := schema["required"].([]any)
			switch {
			case !ok:
				t.Errorf("%s has no %s", at, name)
				continue
			case option != "" && slices.Contains(required, any(name)):
				t.Errorf("%s requires %s, which may be left out", at, name)
			}
			s.sameFields(t, at+"."+name, property, f.Type)
			fields[name] = true
		}
		for name := range properties {
			if !fields[name] {
				t.Errorf("%s has %s, which no answer has", at, name)
			}
		}
	}
}

// A comma in a flow mapping ends a text: what is behind it becomes a key without a value.
func TestSpecHasNoHoles(t *testing.T) {
	t.Parallel()
	var walk func(at string, node any)
	walk = func(at string, node any) {
		switch n := node.(type) {
		case nil:
			t.Errorf("%s has no value", at)
		case map[string]any:
			for key, value := range n {
				walk(at+"/"+key, value)
			}
		case []any:
			for i, value := range n {
				walk(fmt.Sprintf("%s/%d", at, i), value)
			}
		}
	}
	walk("#", mustSpec().doc)
}
