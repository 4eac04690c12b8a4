package node

import (
	"strings"

	"github.com/quorate/quorate"
)

// known is how many of the first calls this leader may put into the log, because
// all members know what they use, and why not the one behind them. The calls
// behind that one wait with it, for they may see what it does.
func (n *Node) known(calls []quorate.Call) (int, error) {
	if n.machine.AgreedOnAll() {
		return len(calls), nil
	}
	words := n.machine.Agreed()
	if len(words) == 0 {
		common := n.hearsay.common.Load()
		if common == nil {
			return 0, quorate.Errorf(quorate.Unavailable, "the leader has not heard yet what the programs of the members know")
		}
		words = *common
	}
	for i := range calls {
		if what := words.Unknown(&calls[i]); what != "" {
			return i, quorate.Errorf(quorate.Unavailable, "%s is not known to all members yet%s", what, n.lacking(&calls[i]))
		}
	}
	return len(calls), nil
}

// knownQueries is the same for queries, which this node answers from its state:
// nobody stops if they are answered too early. They are held to what is agreed,
// so that what a service can do does not depend on which node is asked.
func (n *Node) knownQueries(calls []quorate.Call) (int, error) {
	if n.machine.AgreedOnAll() {
		return len(calls), nil
	}
	words := n.machine.Agreed()
	for i := range calls {
		if what := words.Unknown(&calls[i]); what != "" && len(words) > 0 {
			return i, quorate.Errorf(quorate.Unavailable, "%s is not known to all members yet", what)
		}
	}
	return len(calls), nil
}

// lacking says which members are in the way of a call.
func (n *Node) lacking(call *quorate.Call) string {
	var who []string
	others, _ := n.others()
	for _, m := range others {
		words, told := n.hearsay.of(m.ID)
		switch {
		case !told:
			who = append(who, m.Addr+" has not said what it knows")
		case words.Unknown(call) != "":
			who = append(who, m.Addr+" runs a program without it")
		}
	}
	if len(who) == 0 {
		return ": they have not agreed on it"
	}
	return ": " + strings.Join(who, "; ")
}

// within is how many of the first calls that another node passed on the program
// of this one can know, and why not the one behind them. The other node has
// checked them, so what this one does not know is newer, and not wrong: by the
// time they are tried again the leader may be another, or the same with another
// program.
func (n *Node) within(calls []quorate.Call, refused refusals) (int, error) {
	for _, r := range refused {
		if what := n.machine.Own().Unknown(&calls[r.position]); what != "" {
			return r.position, quorate.Errorf(quorate.Unavailable,
				"the node it was passed on to runs an older program, to which %s is not known", what)
		}
	}
	return len(calls), nil
}

// completed is replies to count calls: the calls behind those that have one are
// refused.
func completed(replies []quorate.Reply, count int, err error) []quorate.Reply {
	if len(replies) == count {
		return replies
	}
	return append(replies, refuse(make([]quorate.Reply, count-len(replies)), err)...)
}
