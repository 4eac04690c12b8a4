package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/raft"
)

// The bodies of raft calls between nodes, numbers little-endian. Who sends is
// known from the handshake and stands in none of them. Each begins with a
// version byte.
//
//	append    u8 1 | term u64 | prev index u64 | prev term u64 | commit u64 |
//	          count uvarint | entries
//	entry     index uvarint | term uvarint | type u8 | time i64 |
//	          uvarint len, data | uvarint len, extensions
//	appended  u8 1 | term u64 | last u64 | flags u8 (1 success, 2 no backoff)
//	vote      u8 1 | term u64 | last index u64 | last term u64 | flags u8 (1 transfer)
//	voted     u8 1 | term u64 | flags u8 (1 granted)
//	snapshot  u8 1 | term u64 | index u64 | index's term u64 | configuration
//	          index u64 | snapshot version u8 | uvarint len, configuration
//	installed u8 1 | term u64 | flags u8 (1 success)
//	confirm   u8 1 | term u64                    and the answer likewise
//
// A pre-vote is a vote, a call to time out now is a version byte alone.
//
// Example: the question whether term 7 is the latest is
// 01 | 07 00 00 00 00 00 00 00.

// codecVersion is the form described above.
const codecVersion = 1

// entryBytesMin is the shortest entry: two uvarints, type, time, two lengths.
const entryBytesMin = 1 + 1 + 1 + 8 + 1 + 1

var errBody = errors.New("the body of a call between nodes is damaged, or of a newer version")

// encoder puts a body together.
type encoder struct{ body []byte }

func encode(size int) *encoder {
	e := &encoder{make([]byte, 0, 1+size)}
	return e.u8(codecVersion)
}

func (e *encoder) u8(n byte) *encoder {
	e.body = append(e.body, n)
	return e
}

func (e *encoder) u64(n uint64) *encoder {
	e.body = binary.LittleEndian.AppendUint64(e.body, n)
	return e
}

func (e *encoder) uvarint(n uint64) *encoder {
	e.body = binary.AppendUvarint(e.body, n)
	return e
}

func (e *encoder) bytes(b []byte) *encoder {
	e.uvarint(uint64(len(b)))
	e.body = append(e.body, b...)
	return e
}

// flags packs bools into a byte, the first into the lowest bit.
func (e *encoder) flags(flags ...bool) *encoder {
	var packed byte
	for i, set := range flags {
		if set {
			packed |= 1 << i
		}
	}
	return e.u8(packed)
}

// decoder takes a body apart and remembers whether something was wrong.
type decoder struct {
	body []byte
	bad  bool
}

func decode(body []byte) *decoder {
	d := &decoder{body: body}
	if d.u8() != codecVersion {
		d.fail()
	}
	return d
}

func (d *decoder) fail() { d.bad, d.body = true, nil }

// end is nil if the body was whole and nothing is left of it.
func (d *decoder) end() error {
	if d.bad || len(d.body) > 0 {
		return errBody
	}
	return nil
}

func (d *decoder) take(n int) []byte {
	if n > len(d.body) {
		d.fail()
		return nil
	}
	b := d.body[:n:n]
	d.body = d.body[n:]
	return b
}

func (d *decoder) u8() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.body)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.body = d.body[size:]
	return n
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.body)) {
		d.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	return d.take(int(n))
}

func flag(flags byte, bit int) bool { return flags&(1<<bit) != 0 }

// appendBytesMax bounds the entries of one append: what is in flight in a
// steady state fits twice, and a follower that catches up gets 4 MiB at a time.
const appendBytesMax = 4 << 20

// trim cuts what an append carries to appendBytesMax, but to no less than one
// entry, and in front of one that must not be sent. Raft looks at the request
// again to see how far it got.
func trim(req *raft.AppendEntriesRequest) {
	size := 0
	for i, entry := range req.Entries {
		size += len(entry.Data) + len(entry.Extensions) + 3*binary.MaxVarintLen64
		if i > 0 && size > appendBytesMax || entry.Type == termOnly {
			req.Entries = req.Entries[:i]
			return
		}
	}
}

func encodeAppend(req *raft.AppendEntriesRequest) []byte {
	size := 4*8 + binary.MaxVarintLen64
	for _, entry := range req.Entries {
		size += entryBytesMin + 4*binary.MaxVarintLen64 + len(entry.Data) + len(entry.Extensions)
	}
	// A follower must not commit what it has beyond this append: it may be
	// of another term. Section 5.3 of the Raft paper bounds the commit index
	// by the last new entry; raft bounds it by the last entry of the log.
	commit := min(req.LeaderCommitIndex, req.PrevLogEntry+uint64(len(req.Entries)))
	e := encode(size).u64(req.Term).u64(req.PrevLogEntry).u64(req.PrevLogTerm).u64(commit)
	e.uvarint(uint64(len(req.Entries)))
	for _, entry := range req.Entries {
		e.uvarint(entry.Index).uvarint(entry.Term).u8(byte(entry.Type))
		e.u64(uint64(nanos(entry.AppendedAt))).bytes(entry.Data).bytes(entry.Extensions)
	}
	return e.body
}

func decodeAppend(body []byte, header raft.RPCHeader) (*raft.AppendEntriesRequest, error) {
	d := decode(body)
	req := &raft.AppendEntriesRequest{
		RPCHeader: header,
		Term:      d.u64(), PrevLogEntry: d.u64(), PrevLogTerm: d.u64(), LeaderCommitIndex: d.u64(),
	}
	count := d.uvarint()
	// Nothing is allocated for entries that are not there.
	if ahead := *d; !ahead.skipEntries(count) {
		return nil, errBody
	}
	// One allocation for all entries; they live and die together.
	entries := make([]raft.Log, count)
	if count > 0 {
		req.Entries = make([]*raft.Log, count)
	}
	for i := range entries {
		entries[i] = raft.Log{
			Index: d.uvarint(), Term: d.uvarint(), Type: raft.LogType(d.u8()),
			AppendedAt: moment(int64(d.u64())), Data: d.bytes(), Extensions: d.bytes(),
		}
		req.Entries[i] = &entries[i]
		if entries[i].Type == raft.LogConfiguration && !readable(entries[i].Data) {
			return nil, errBody
		}
	}
	return req, d.end()
}

// skipEntries says whether so many entries are all that is left of the body.
func (d *decoder) skipEntries(count uint64) bool {
	if count > uint64(len(d.body)/entryBytesMin) {
		return false
	}
	for range count {
		d.uvarint()
		d.uvarint()
		d.take(1 + 8)
		d.bytes()
		d.bytes()
	}
	return d.end() == nil
}

// readable says whether raft can read a configuration. It panics at one that it
// cannot.
func readable(configuration []byte) (ok bool) {
	defer func() { ok = recover() == nil }()
	raft.DecodeConfiguration(configuration)
	return
}

// heartbeat says that an append is a sign of life and nothing else.
func heartbeat(req *raft.AppendEntriesRequest) bool {
	return req.Term != 0 && req.PrevLogEntry == 0 && req.PrevLogTerm == 0 &&
		len(req.Entries) == 0 && req.LeaderCommitIndex == 0
}

func encodeAppended(resp *raft.AppendEntriesResponse) []byte {
	return encode(17).u64(resp.Term).u64(resp.LastLog).flags(resp.Success, resp.NoRetryBackoff).body
}

func decodeAppended(body []byte, resp *raft.AppendEntriesResponse) error {
	d := decode(body)
	term, last, flags := d.u64(), d.u64(), d.u8()
	if err := d.end(); err != nil {
		return err
	}
	*resp = raft.AppendEntriesResponse{
		Term: term, LastLog: last, Success: flag(flags, 0), NoRetryBackoff: flag(flags, 1),
	}
	return nil
}

func encodeVote(term, lastIndex, lastTerm uint64, transfer bool) []byte {
	return encode(25).u64(term).u64(lastIndex).u64(lastTerm).flags(transfer).body
}

func decodeVote(body []byte, header raft.RPCHeader) (*raft.RequestVoteRequest, error) {
	d := decode(body)
	req := &raft.RequestVoteRequest{
		RPCHeader: header,
		Term:      d.u64(), LastLogIndex: d.u64(), LastLogTerm: d.u64(), LeadershipTransfer: flag(d.u8(), 0),
	}
	return req, d.end()
}

// encodeFlagged is an answer of a term and one yes or no.
func encodeFlagged(term uint64, yes bool) []byte { return encode(9).u64(term).flags(yes).body }

func decodeFlagged(body []byte) (term uint64, yes bool, err error) {
	d := decode(body)
	term, yes = d.u64(), flag(d.u8(), 0)
	return term, yes, d.end()
}

func encodeSnapshot(req *raft.InstallSnapshotRequest) []byte {
	e := encode(64 + len(req.Configuration)).u64(req.Term).u64(req.LastLogIndex).u64(req.LastLogTerm)
	return e.u64(req.ConfigurationIndex).u8(byte(req.SnapshotVersion)).bytes(req.Configuration).body
}

func decodeSnapshot(body []byte, header raft.RPCHeader) (*raft.InstallSnapshotRequest, error) {
	d := decode(body)
	req := &raft.InstallSnapshotRequest{
		RPCHeader: header, Leader: header.Addr,
		Term: d.u64(), LastLogIndex: d.u64(), LastLogTerm: d.u64(),
		ConfigurationIndex: d.u64(), SnapshotVersion: raft.SnapshotVersion(d.u8()), Configuration: d.bytes(),
	}
	if !readable(req.Configuration) {
		return nil, errBody
	}
	return req, d.end()
}

func encodeTerm(term uint64) []byte { return encode(8).u64(term).body }

func decodeTerm(body []byte) (uint64, error) {
	d := decode(body)
	term := d.u64()
	return term, d.end()
}

// noTime stands for a time that was never set.
const noTime = math.MinInt64

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixNano()
}

func moment(nanos int64) time.Time {
	if nanos == noTime {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

// unexpected is an answer of a type that does not go with the call.
func unexpected(response any) error { return fmt.Errorf("raft answered with a %T", response) }
