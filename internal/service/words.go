package service

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v2"
)

// asWritten names each word of a YAML text that YAML 1.1 takes for something else: y, n, yes, no, on and off are
// booleans to it, as keys, too, and the key 010 is 8. Inside a schema nothing else would notice: a property y would be
// one called true. They are refused and not read as written, since Helm's parser, which reads the same text where the
// chart does, has no such choice.
func asWritten(text []byte) error {
	var all written
	if err := yaml.Unmarshal(text, &all); err != nil {
		return err
	}
	var faults []error
	all.misread("", func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) })
	return errors.Join(faults...)
}

// written is a YAML value with its words as they stand in the text.
type written struct {
	word   string // of a boolean
	fields map[writtenKey]written
	items  []written
}

// writtenKey is a key as it was written, and as it is read.
type writtenKey struct{ word, read string }

func (k *writtenKey) UnmarshalYAML(unmarshal func(any) error) error {
	var read any
	if err := unmarshal(&read); err != nil {
		return err
	}
	k.read = fmt.Sprint(read)
	return unmarshal(&k.word)
}

func (w *written) UnmarshalYAML(unmarshal func(any) error) error {
	var read any
	if err := unmarshal(&read); err != nil {
		return err
	}
	switch read.(type) {
	case map[any]any:
		return unmarshal(&w.fields)
	case []any:
		return unmarshal(&w.items)
	case bool:
		return unmarshal(&w.word)
	}
	return nil
}

func (w *written) misread(at string, fault func(format string, args ...any)) {
	if word := strings.ToLower(w.word); word != "" && word != "true" && word != "false" {
		fault("%s: YAML reads %s as a boolean; write %q in quotes, or true or false", at, w.word, w.word)
	}
	for i := range w.items {
		w.items[i].misread(fmt.Sprintf("%s[%d]", at, i), fault)
	}
	for _, k := range slices.SortedFunc(maps.Keys(w.fields), func(a, b writtenKey) int { return strings.Compare(a.word, b.word) }) {
		below := strings.TrimPrefix(at+"."+k.word, ".")
		if k.read != k.word {
			fault("%s: YAML reads the key %s as %s; write %q in quotes", below, k.word, k.read, k.word)
		}
		value := w.fields[k]
		value.misread(below, fault)
	}
}
