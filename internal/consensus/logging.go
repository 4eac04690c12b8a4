package consensus

import (
	"context"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// chatter gives what raft says to slog, all of it at debug: what matters to
// people the group says itself, in one line for each change.
type chatter struct {
	log  *slog.Logger
	name string
}

func (c chatter) say(level hclog.Level, msg string, args []any) {
	if c.log.Enabled(context.Background(), slog.LevelDebug) {
		c.log.Debug("raft: "+msg, append([]any{"raft_level", level.String()}, args...)...)
	}
}

// Log implements hclog.Logger, as do the methods below.
func (c chatter) Log(level hclog.Level, msg string, args ...any) { c.say(level, msg, args) }

func (c chatter) Trace(msg string, args ...any) {}
func (c chatter) Debug(msg string, args ...any) { c.say(hclog.Debug, msg, args) }
func (c chatter) Info(msg string, args ...any)  { c.say(hclog.Info, msg, args) }
func (c chatter) Warn(msg string, args ...any)  { c.say(hclog.Warn, msg, args) }
func (c chatter) Error(msg string, args ...any) { c.say(hclog.Error, msg, args) }

func (c chatter) IsTrace() bool { return false }
func (c chatter) IsDebug() bool { return c.log.Enabled(context.Background(), slog.LevelDebug) }
func (c chatter) IsInfo() bool  { return c.IsDebug() }
func (c chatter) IsWarn() bool  { return c.IsDebug() }
func (c chatter) IsError() bool { return c.IsDebug() }

func (c chatter) ImpliedArgs() []any               { return nil }
func (c chatter) With(args ...any) hclog.Logger    { return chatter{c.log.With(args...), c.name} }
func (c chatter) Name() string                     { return c.name }
func (c chatter) Named(name string) hclog.Logger   { return chatter{c.log, name} }
func (c chatter) ResetNamed(n string) hclog.Logger { return chatter{c.log, n} }
func (c chatter) SetLevel(hclog.Level)             {}
func (c chatter) GetLevel() hclog.Level            { return hclog.Debug }

func (c chatter) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(io.Discard, "", 0)
}

func (c chatter) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return io.Discard }
