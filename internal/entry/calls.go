package entry

import (
	"github.com/quorate/quorate"
)

// Calls goes through the calls of an entry one at a time: each stands where the
// one before it stood, so that none is allocated. The zero Calls is ready, and
// can be used for one entry after the other.
type Calls struct {
	reader reader
	left   int
	call   quorate.Call
}

// argsKept is how many places for arguments are kept for the next entry.
const argsKept = 1 << 10

// Open begins with an entry, whose bytes the calls share. What Decode refuses it
// refuses with the same error.
func (c *Calls) Open(data []byte) (Header, error) {
	args := c.reader.args
	if cap(args) > argsKept {
		args = nil
	}
	// Most entries hold calls of the name that the one before held.
	*c = Calls{call: quorate.Call{Name: c.call.Name}}
	h, body, err := readHeader(data, kindCalls)
	if err != nil {
		return Header{}, err
	}
	dry := reader{data: body, dry: true}
	dry.calls()
	if err := dry.end("call"); err != nil {
		return Header{}, err
	}
	if dry.argsMost > cap(args) {
		args = make([][]byte, dry.argsMost)
	}
	c.reader = reader{data: dry.data, args: args[:cap(args)]}
	c.reader.ids.Grow(dry.idBytes)
	c.left = c.reader.callCount()
	return h, nil
}

// Left is how many calls are still to come.
func (c *Calls) Left() int { return c.left }

// Next takes the next call, of which there must be one. It stays until Next or
// Open is called again, but for its strings, which stay for good.
func (c *Calls) Next() *quorate.Call {
	c.left--
	c.reader.argsSeen = 0
	name := c.call.Name
	c.call = quorate.Call{}
	c.reader.call(&c.call, name)
	return &c.call
}
