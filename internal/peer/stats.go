package peer

import "sync/atomic"

// Stats is what a port has done and holds. All but the first two only rise.
type Stats struct {
	// Connections are open now in either direction, handshakes included.
	// Served are those among them that were accepted and passed the handshake.
	Connections, Served int
	// BytesIn and BytesOut count frames, without handshakes.
	BytesIn, BytesOut uint64
	// FramesIn and FramesOut count frames of all forms.
	FramesIn, FramesOut uint64
	// Dials and DialsFailed count attempts to connect, handshake included.
	Dials, DialsFailed uint64
	// RefusalsGiven and RefusalsMet count handshakes that this node refused
	// to others and others to it.
	RefusalsGiven, RefusalsMet uint64
	// Strangers counts accepted connections that got no answer: silent ones,
	// bytes of another protocol, and those above the limit of handshakes.
	Strangers uint64
}

// counters is what a port counts as it goes.
type counters struct {
	bytesIn, bytesOut          atomic.Uint64
	framesIn, framesOut        atomic.Uint64
	dials, dialsFailed         atomic.Uint64
	refusalsGiven, refusalsMet atomic.Uint64
	strangers                  atomic.Uint64
}

// Stats copies the counters.
func (p *Port) Stats() Stats {
	p.mu.Lock()
	conns, served := len(p.conns), p.served
	p.mu.Unlock()
	c := &p.counters
	return Stats{
		Connections:   conns,
		Served:        served,
		BytesIn:       c.bytesIn.Load(),
		BytesOut:      c.bytesOut.Load(),
		FramesIn:      c.framesIn.Load(),
		FramesOut:     c.framesOut.Load(),
		Dials:         c.dials.Load(),
		DialsFailed:   c.dialsFailed.Load(),
		RefusalsGiven: c.refusalsGiven.Load(),
		RefusalsMet:   c.refusalsMet.Load(),
		Strangers:     c.strangers.Load(),
	}
}
