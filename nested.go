package quorate

// depthMax bounds how deep commands run inside commands.
const depthMax = 4

// Call runs an operation of the same service as a part of this command. If it
// fails, what it wrote is taken back, and this command may go on; if this
// command fails, nothing is left of either.
//
// The call has neither an id nor an age: it is exactly as durable and as new as
// the command around it.
func (t *Tx) Call(call Call) (Value, error) {
	if t.service == nil || t.depth == depthMax {
		return Value{}, Errorf(Invalid, "a command cannot run %.64q here: at most %d stand inside each other", call.Name, depthMax)
	}
	op, err := t.service.Check(call)
	if err != nil {
		return Value{}, err
	}
	if !op.writes {
		return op.Read(&t.View, call.Args)
	}
	restore := t.state.Save()
	before := t.at.Due
	t.depth++
	value, err := op.Apply(t, call.Args)
	t.depth--
	if err != nil {
		restore()
		t.at.Due = before
	}
	return value, err
}
