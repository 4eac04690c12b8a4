package quorate

import "github.com/quorate/quorate/internal/engine"

// Engine is for the other rooms of this module: the inside of the language.
func Engine() *engine.Access[Service, Operation, Call, Value, Tx, View] { return &access }

// access never changes.
var access = engine.Access[Service, Operation, Call, Value, Tx, View]{
	Check:        (*Service).sound,
	Lookup:       func(s *Service, call Call) (*Operation, bool) { return s.lookup(&call) },
	ArgsFromJSON: (*Operation).argsFromJSON,
	ArgsFromText: (*Operation).argsFromText,
	Usage:        (*Operation).usage,
	Arguments:    func(o *Operation) []argument { return o.binds.arguments() },
	Schema:       (*Operation).schemas,
	Newer:        (*Operation).newer,
	Apply:        (*Operation).run,
	Read:         (*Operation).ask,
	ResetTx:      (*Tx).reset,
	ResetView:    (*View).reset,
	Room:         (*View).makeRoom,
	Overdue:      func(v *View) bool { return v.overdue },
}
