package sqslocal

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestLegalText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "plain": true, "\t\n\r": true, "\u00a0\ud7ff\ue000\ufffd": true, "\U00010000\U0010FFFF": true,
		"\x00": false, "\x08": false, "\x0b": false, "\x1f": false, "\ufffe": false, "\uffff": false, "\xff": false, "\xed\xa0\x80": false,
	} {
		if got := legalText(text); got != want {
			t.Errorf("legalText(%q) = %t", text, got)
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	all := map[string]attributeValue{"Hello": {}, "Help.Me": {}, "General": {}}
	for filters, want := range map[string]string{
		"": "", "All": "General Hello Help.Me", "*": "General Hello Help.Me", ".*": "General Hello Help.Me",
		"Hel.*": "Hello Help.Me", "Hello": "Hello", "hello": "", "Help.*": "Help.Me", "General,Nothing": "General", "AWS.": "", "..foo": "",
	} {
		chosen := selectAttributes(all, strings.Split(filters, ","))
		if got := strings.Join(slices.Sorted(maps.Keys(chosen)), " "); got != want {
			t.Errorf("filters %q chose %q, want %q", filters, got, want)
		}
	}
}

func TestAttributeRules(t *testing.T) {
	t.Parallel()
	word := func(s string) *string { return &s }
	long := strings.Repeat("x", maxAttributeName+1)
	for name, test := range map[string]struct {
		attribute string
		value     attributeValue
		code      string
	}{
		"string":           {"a", attributeValue{DataType: "String", StringValue: word("x")}, ""},
		"labelled binary":  {"a.b-c_d", attributeValue{DataType: "Binary.png", BinaryValue: []byte{0}}, ""},
		"huge number":      {"a", attributeValue{DataType: "Number", StringValue: word("-12.5e100")}, ""},
		"no type":          {"a", attributeValue{StringValue: word("x")}, "InvalidParameterValue"},
		"unknown type":     {"a", attributeValue{DataType: "Float", StringValue: word("1")}, "InvalidParameterValue"},
		"long type":        {"a", attributeValue{DataType: "String." + long, StringValue: word("1")}, "InvalidParameterValue"},
		"no value":         {"a", attributeValue{DataType: "String"}, "InvalidParameterValue"},
		"binary as string": {"a", attributeValue{DataType: "Binary", StringValue: word("x")}, "InvalidParameterValue"},
		"both values":      {"a", attributeValue{DataType: "String", StringValue: word("x"), BinaryValue: []byte{1}}, "InvalidParameterValue"},
		"list":             {"a", attributeValue{DataType: "String", StringValue: word("x"), StringListValues: []byte(`["x"]`)}, "AWS.SimpleQueueService.UnsupportedOperation"},
		"control":          {"a", attributeValue{DataType: "String", StringValue: word("\x01")}, "InvalidMessageContents"},
		"no number":        {"a", attributeValue{DataType: "Number", StringValue: word("x")}, "InvalidParameterValue"},
		"empty name":       {"", attributeValue{DataType: "String", StringValue: word("x")}, "InvalidParameterValue"},
		"long name":        {long, attributeValue{DataType: "String", StringValue: word("x")}, "InvalidParameterValue"},
		"leading period":   {".a", attributeValue{DataType: "String", StringValue: word("x")}, "InvalidParameterValue"},
		"two periods":      {"a..b", attributeValue{DataType: "String", StringValue: word("x")}, "InvalidParameterValue"},
		"Amazon's":         {"Amazon.x", attributeValue{DataType: "String", StringValue: word("x")}, "InvalidParameterValue"},
	} {
		code := ""
		if refusal := refusalOf(checkMessageAttributes(map[string]attributeValue{test.attribute: test.value})); refusal != nil {
			code = refusal.Code()
		}
		if code != test.code {
			t.Errorf("%s: code is %q, want %q", name, code, test.code)
		}
	}
}
