package memnet

// PowerOff cuts the power of the host. Whatever uses it sees its listeners
// closed, its connections broken and its dials fail, for ever. The other ends
// of its connections see nothing, as when a machine vanishes: what they write
// goes nowhere and nothing comes, until a host of the same name listens again,
// which resets them because it knows nothing of them.
func (h *Host) PowerOff() {
	n := h.network
	n.mu.Lock()
	h.off = true
	var backlog []*conn
	for _, l := range n.listeners {
		if l.host == h {
			backlog = append(backlog, l.end()...)
		}
	}
	for p := range n.pipes {
		if p.source == h || p.target == h {
			p.powerOff(h)
		}
	}
	n.changed.Broadcast()
	n.mu.Unlock()
	closeAll(backlog)
}

// resetDark resets the connections of a host that lost its power: it is back
// and does not know them. The caller holds mu.
func (n *Network) resetDark(host string) {
	for p := range n.pipes {
		if (p.way.from == host || p.way.to == host) && p.isDark() {
			p.reset()
			delete(n.pipes, p)
		}
	}
}
