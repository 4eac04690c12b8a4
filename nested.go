package quorate

import "github.com/quorate/quorate/internal/engine"

// depthMax bounds how deep commands run inside commands.
const depthMax = 4

// Call runs an operation of the same service as a part of this command. If it fails,
// what it wrote is taken back, and this command may go on.
func (t *Tx) Call(call Call) (Value, error) {
	if t.service == nil || t.depth == depthMax {
		return Value{}, Errorf(Invalid, "a command cannot run %.64q here: at most %d stand inside each other", call.Name, depthMax)
	}
	op, err := t.service.sound(call)
	if err != nil {
		return Value{}, err
	}
	restore := func() {}
	before := *t
	if op.writes {
		restore = t.state.Save()
	}
	t.depth++
	value, err := op.nested(t, call.Args)
	t.depth--
	if err == nil {
		if t.results += value.Size(); t.results > engine.ResultsBytesMax {
			err = Errorf(TooLarge, "the calls inside of one come to more than %d bytes", engine.ResultsBytesMax)
		}
	}
	if err != nil {
		restore()
		// What was refused of it, and what it wrote, is not this command's.
		t.at.Due, t.bytes, t.results, t.err, t.exhausted = before.at.Due, before.bytes, before.results, before.err, before.exhausted
		return Value{}, err
	}
	return value, nil
}

// nested runs an operation inside of a command.
func (o *Operation) nested(tx *Tx, args [][]byte) (Value, error) {
	if o.writes {
		return o.run(tx, args)
	}
	return o.ask(&tx.View, args)
}
