package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/values"
)

// The exit codes. Each means one thing, for scripts to rely on.
const (
	exitOK          = 0
	exitFailure     = 1   // the call or the node failed
	exitUsage       = 2   // the command was not typed well, or its arguments are invalid
	exitNotFound    = 3   // there is nothing under this key
	exitUnavailable = 4   // nobody answers, no leader, copies too old, or the outcome is unknown
	exitConflict    = 6   // the state is not what the call expects
	exitMissed      = 8   // bench: an objective of --slo was missed
	exitInterrupted = 130 // bench: ended by an interrupt, as a shell tells it
)

// codeUsage is the code of an error in what was typed.
const codeUsage quorate.Code = "usage"

// problem is an error as it is printed where JSON was asked for, which is as a
// node answers it over HTTP.
type problem struct {
	Message string       `json:"error"`
	Code    quorate.Code `json:"code"`
	// Field is the argument that is wrong, if it is one.
	Field   string          `json:"field,omitempty"`
	Outcome string          `json:"outcome,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
	Leader  string          `json:"leader,omitempty"`
	// ID is the id of a write whose outcome is unknown.
	ID string `json:"id,omitempty"`
}

// failure is why a command failed, and the exit code it ends in.
type failure struct {
	problem
	exit int
	// logged says that the log already holds the message.
	logged bool
}

// Error is the message, in one line.
func (f *failure) Error() string { return strings.ReplaceAll(f.Message, "\n", "; ") }

// usage makes the failure of a command that was not typed well.
func usage(format string, args ...any) *failure {
	return &failure{problem: problem{Message: fmt.Sprintf(format, args...), Code: codeUsage}, exit: exitUsage}
}

// failed makes the failure of a command that did not get done.
func failed(format string, args ...any) *failure {
	return &failure{problem: problem{Message: fmt.Sprintf(format, args...), Code: quorate.Failed}, exit: exitFailure}
}

// unavailable makes the failure of a call that nobody served.
func unavailable(outcome quorate.Outcome, format string, args ...any) *failure {
	return &failure{
		problem: problem{Message: fmt.Sprintf(format, args...), Code: quorate.Unavailable, Outcome: outcome.String()},
		exit:    exitUnavailable,
	}
}

// refused makes the failure of a call that a node answered with an error, or
// that came to nothing for sure. Its outcome is told where there may be doubt,
// as HTTP does.
func refused(e *quorate.Error, writes bool) *failure {
	p := problem{Message: e.Error(), Code: e.Code, Field: e.Field, Leader: e.Leader}
	switch {
	case writes:
		p.Outcome = e.Outcome.String()
	case busy(e.Code):
		p.Outcome = quorate.NotApplied.String() // a query changes nothing, however it ends
	}
	if !writes {
		p.Message = reason(e)
	}
	if e.Code == quorate.Conflict || e.Value.Kind() != values.KindNone {
		p.Value = jsonOf(e.Value)
	}
	return &failure{problem: p, exit: exitOf(p)}
}

func exitOf(p problem) int {
	if p.Outcome == quorate.Unknown.String() {
		return exitUnavailable
	}
	switch p.Code {
	case quorate.NotFound:
		return exitNotFound
	case quorate.Conflict:
		return exitConflict
	case quorate.Unavailable, quorate.Overloaded, quorate.TooOld:
		return exitUnavailable
	case quorate.Invalid, quorate.TooLarge:
		return exitUsage
	}
	return exitFailure
}

// print writes the failure for a person, or as JSON for a program.
func (f *failure) print(w io.Writer, asJSON bool) {
	switch {
	case f.logged:
	case asJSON:
		line, err := json.Marshal(f.problem)
		if err == nil {
			fmt.Fprintf(w, "%s\n", line)
		}
	default:
		fmt.Fprintln(w, f.Error()+f.instead())
	}
}

// instead tells a person what the state holds instead of what was expected.
// JSON has it in a field of its own.
func (f *failure) instead() string {
	switch {
	case f.Code != quorate.Conflict || len(f.Value) == 0:
		return ""
	case string(f.Value) == "null":
		return ": there is nothing"
	}
	return fmt.Sprintf(": it is %.80s", f.Value)
}
