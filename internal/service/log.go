package service

import (
	"fmt"
	"io"
	"log/slog"
)

// NewLog writes JSON lines to w from a level on: debug, info, warn or error.
func NewLog(w io.Writer, level, component string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is none of debug, info, warn, error", level)
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l})).With("component", component), nil
}
