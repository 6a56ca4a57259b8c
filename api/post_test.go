package api

import (
	"encoding/json"
	"strings"
	"testing"

	"tallyman/contract"
)

// Two characters that JSON allows would make a message that SQS takes from nobody; written as JSON escapes them they pass.
func TestAPayloadThatSQSDoesNotTakeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for body, detail := range map[string]string{
		"{\"payload\":\"a\uffff\"}":      `payload has the character U+FFFF at byte 2, which no message of SQS may hold; write it as \uffff`,
		"{\"payload\":[{\"\ufffe\":1}]}": `payload has the character U+FFFE at byte 3, which no message of SQS may hold; write it as \ufffe`,
		"{\"tags\":[\"\uffff\"]}":        "tags[0] must be 1 to 64 printable ASCII characters without spaces",
	} {
		if p := w.do("POST", "/jobs", body).want(400).problem(); p.Code != contract.CodeInvalidValue || p.Detail != detail {
			t.Errorf("%q: %+v", body, p)
		}
	}
	p := w.do("POST", "/jobs/schedule", "{\"syntax\":\"* * * * *\",\"payload\":\"\uffff\"}").want(400).problem()
	if p.Field != "payload" {
		t.Errorf("a schedule: %+v", p)
	}
	var r batchResult
	w.do("POST", "/jobs/batch", "[{\"payload\":\"\uffff\"},{}]").want(200).into(&r)
	if r.Refused != 1 || r.Results[0].Status != 400 || r.Results[0].Error.Field != "payload" {
		t.Errorf("a batch: %+v", r)
	}
	w.submit(`{"payload":"\uffff\ufffe"}`, contract.StateQueued)
	w.submit("{\"payload\":\"\ufffd\U0001ffff\"}", contract.StateQueued)
	if got := w.messages(); len(got) != 3 {
		t.Errorf("%d messages", len(got))
	}
}

func TestBadPosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deep := strings.Repeat("[", 600) + strings.Repeat("]", 600)
	for body, want := range map[string]struct {
		code  contract.Code
		field string
	}{
		`{`:                                {contract.CodeMalformed, ""},
		`{} {}`:                            {contract.CodeMalformed, ""},
		"{\"tags\":[\"\xff\"]}":            {contract.CodeMalformed, ""},
		`[]`:                               {contract.CodeNotObject, ""},
		`"x"`:                              {contract.CodeNotObject, ""},
		`{"type":"probe","type":"probe"}`:  {contract.CodeDuplicateKey, "type"},
		`{"type":null}`:                    {contract.CodeNullField, "type"},
		`{"type":1}`:                       {contract.CodeWrongType, "type"},
		`{"type":""}`:                      {contract.CodeInvalidValue, "type"},
		`{"type":"a b"}`:                   {contract.CodeInvalidValue, "type"},
		`{"type":"nope"}`:                  {contract.CodeUnknownType, "type"},
		`{"queue":"nope"}`:                 {contract.CodeUnknownQueue, "queue"},
		`{"queue":"media","type":"probe"}`: {contract.CodeUnknownType, "type"},
		`{"name":"x"}`:                     {contract.CodeInvalidValue, "name"},
		`{"tags":"x"}`:                     {contract.CodeWrongType, "tags"},
		`{"tags":["a","b c"]}`:             {contract.CodeInvalidValue, "tags[1]"},
		`{"tags":[1]}`:                     {contract.CodeWrongType, "tags"},
		`{"tags":["","","","","","","","","","",""]}`:     {contract.CodeInvalidValue, "tags"},
		`{"delaySeconds":901}`:                            {contract.CodeInvalidValue, "delaySeconds"},
		`{"delaySeconds":-1}`:                             {contract.CodeInvalidValue, "delaySeconds"},
		`{"delaySeconds":1.5}`:                            {contract.CodeWrongType, "delaySeconds"},
		`{"delaySeconds":"1"}`:                            {contract.CodeWrongType, "delaySeconds"},
		`{"timeoutSeconds":0}`:                            {contract.CodeInvalidValue, "timeoutSeconds"},
		`{"timeoutSeconds":99999999999999999999}`:         {contract.CodeInvalidValue, "timeoutSeconds"},
		`{"type":1,"queue":""}`:                           {contract.CodeInvalidRequest, "queue"},
		`{"type":"person","payload":{}}`:                  {contract.CodeInvalidPayload, "payload"},
		`{"type":"person","payload":{"name":1}}`:          {contract.CodeInvalidPayload, "payload.name"},
		`{"type":"person","payload":{"name":1,"age":-1}}`: {contract.CodeInvalidPayload, ""},
		`{"payload":` + deep + `}`:                        {contract.CodeTooDeep, ""},
	} {
		p := w.do("POST", "/jobs", body).want(400).problem()
		if p.Code != want.code || want.field != "" && p.Field != want.field || p.Detail == "" || p.RequestID == "" || p.Type != "/docs#"+string(p.Code) {
			t.Errorf("%.80s: %+v", body, p)
		}
		for _, f := range p.Errors {
			if f.Pointer == "" || f.Field == "" {
				t.Errorf("%.80s: %+v", body, f)
			}
		}
	}
	if got := w.messages(); len(got) > 0 {
		t.Errorf("sent all the same: %+v", got)
	}
}

// The payload and the whole task have one limit each, and both are clear about it.
func TestPayloadSizes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fits := `{"payload":"` + strings.Repeat("x", contract.MaxTaskBytes-600) + `"}`
	w.do("POST", "/jobs", fits).want(202)
	for _, size := range []int{contract.MaxTaskBytes, 1 << 20} {
		body := `{"payload":"` + strings.Repeat("x", size) + `"}`
		if p := w.do("POST", "/jobs", body).want(413).problem(); p.Code != contract.CodeTooLarge {
			t.Errorf("%d: %+v", size, p)
		}
	}
}

// A post without a queue or a type finds its way in any configuration.
func TestDefaults(t *testing.T) {
	t.Parallel()
	w := alone(t, func(o *Options) {
		o.Config = contract.Config{Queues: []contract.Queue{{Name: "media", URL: "u", DefaultType: "resize", Types: []contract.JobType{{Name: "resize"}}}}}
	})
	p := post{payload: json.RawMessage("{}")}
	if err := w.server.settle(&p); err != nil || p.queue != "media" || p.jobType != "resize" {
		t.Errorf("%+v, %v", p, err)
	}
}
