package quoratetest

import (
	"context"
	"log/slog"
)

// lifeLog is the log of a node as long as it lives.
type lifeLog struct {
	slog.Handler
	life *life
}

// Enabled implements slog.Handler.
func (l lifeLog) Enabled(ctx context.Context, level slog.Level) bool {
	return !l.life.over.Load() && l.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (l lifeLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return lifeLog{l.Handler.WithAttrs(attrs), l.life}
}

// WithGroup implements slog.Handler.
func (l lifeLog) WithGroup(name string) slog.Handler {
	return lifeLog{l.Handler.WithGroup(name), l.life}
}

// discard is a log for nobody.
func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
