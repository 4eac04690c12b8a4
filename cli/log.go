package cli

import (
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
)

// logFlags is how a node logs.
type logFlags struct {
	level  choice
	format choice
}

// bind adds the flags to a command.
func (l *logFlags) bind(cmd *cobra.Command, level string) {
	l.level = choice{level, []string{"debug", "info", "warn", "error"}}
	l.format = choice{"auto", []string{"auto", "text", "json"}}
	cmd.Flags().Var(&l.level, "log-level", "the least important lines to log")
	cmd.Flags().Var(&l.format, "log-format", "form of the log: auto is text on a terminal and JSON elsewhere")
}

// logger makes a logger that writes to w.
func (l *logFlags) logger(w io.Writer) *slog.Logger {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	options := &slog.HandlerOptions{Level: levels[l.level.value]}
	if l.format.value == "text" || l.format.value == "auto" && terminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// terminal says that w is a terminal, as far as the operating system tells
// without asking more of it.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
