package consensus

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	commandline "flag"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

var sender = raft.RPCHeader{ProtocolVersion: 3, ID: []byte("0000000000000001"), Addr: []byte("n1:7302")}

func sampleAppend() *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{
		RPCHeader: sender, Term: 7, PrevLogEntry: 300, PrevLogTerm: 6, LeaderCommitIndex: 301,
		Entries: []*raft.Log{
			{Index: 301, Term: 7, Type: raft.LogCommand, Data: []byte("abc"), AppendedAt: time.Unix(0, 258)},
			{Index: 302, Term: 7, Type: raft.LogNoop, Extensions: []byte("x")},
		},
	}
}

// TestBodiesHaveTheirBytes pins the form of every body: the files hold what this
// version writes, and each version must read those of all before it. A change of
// these bytes needs a new version.
func TestBodiesHaveTheirBytes(t *testing.T) {
	for _, c := range []struct {
		name   string
		body   []byte
		decode func(body []byte) (any, error)
		want   any
	}{
		{"append-1", encodeAppend(sampleAppend()), func(b []byte) (any, error) { return decodeAppend(b, sender) }, sampleAppend()},
		{"appended-1", encodeAppended(&raft.AppendEntriesResponse{Term: 7, LastLog: 302, Success: true}), readAppended,
			raft.AppendEntriesResponse{Term: 7, LastLog: 302, Success: true}},
		{"refused-1", encodeAppended(&raft.AppendEntriesResponse{Term: 7, LastLog: 302, NoRetryBackoff: true}), readAppended,
			raft.AppendEntriesResponse{Term: 7, LastLog: 302, NoRetryBackoff: true}},
		{"vote-1", encodeVote(8, 302, 7, true), func(b []byte) (any, error) { return decodeVote(b, sender) },
			&raft.RequestVoteRequest{RPCHeader: sender, Term: 8, LastLogIndex: 302, LastLogTerm: 7, LeadershipTransfer: true}},
		{"voted-1", encodeFlagged(8, true), func(b []byte) (any, error) { term, yes, err := decodeFlagged(b); return fmt.Sprint(term, yes), err }, "8 true"},
		{"snapshot-1", encodeSnapshot(sampleSnapshot()), func(b []byte) (any, error) { return decodeSnapshot(b, sender) }, sampleSnapshot()},
		{"confirm-1", encodeTerm(7), func(b []byte) (any, error) { return decodeTerm(b) }, uint64(7)},
		{"timeoutnow-1", encode(0).body, func(b []byte) (any, error) { return nil, decode(b).end() }, nil},
	} {
		golden := mustGolden(t, c.name, c.body)
		if !bytes.Equal(c.body, golden) {
			t.Errorf("%s is %x, not %x", c.name, c.body, golden)
		}
		if got, err := c.decode(golden); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s reads as %+v (%v), not %+v", c.name, got, err, c.want)
		}
	}
}

func readAppended(body []byte) (any, error) {
	var resp raft.AppendEntriesResponse
	err := decodeAppended(body, &resp)
	return resp, err
}

func sampleSnapshot() *raft.InstallSnapshotRequest {
	return &raft.InstallSnapshotRequest{RPCHeader: sender, Leader: sender.Addr, Term: 7, LastLogIndex: 302, LastLogTerm: 6,
		ConfigurationIndex: 1, SnapshotVersion: 1, Configuration: raft.EncodeConfiguration(members)}
}

var rewrite = commandline.Bool("rewrite", false, "write the golden files anew")

// mustGolden reads a golden file, hexadecimal digits in lines.
func mustGolden(t *testing.T, name string, now []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name+".hex")
	if *rewrite {
		var text strings.Builder
		for line := range slices.Chunk(now, 32) {
			fmt.Fprintf(&text, "%x\n", line)
		}
		mustSucceed(t, os.WriteFile(path, []byte(text.String()), 0o644))
	}
	text, err := os.ReadFile(path)
	mustSucceed(t, err)
	golden, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	mustSucceed(t, err)
	return golden
}

func drawEntry(t *rapid.T) *raft.Log {
	draw := rapid.SliceOfN(rapid.Byte(), 0, 20)
	e := &raft.Log{
		Index: rapid.Uint64().Draw(t, "index"), Term: rapid.Uint64().Draw(t, "term"),
		Type: raft.LogType(rapid.Byte().Draw(t, "type")), Data: draw.Draw(t, "data"), Extensions: draw.Draw(t, "extensions"),
	}
	if e.Type == raft.LogConfiguration {
		e.Data = raft.EncodeConfiguration(members)
	}
	if rapid.Bool().Draw(t, "timed") {
		e.AppendedAt = time.Unix(0, rapid.Int64Min(math.MinInt64+1).Draw(t, "nanos"))
	}
	return e
}

func sameLog(a, b *raft.Log) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && bytes.Equal(a.Data, b.Data) &&
		bytes.Equal(a.Extensions, b.Extensions) && a.AppendedAt.Equal(b.AppendedAt)
}

func TestAppendsReadBackAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(drawEntry), 0, 5).Draw(t, "entries")
		previous := rapid.Uint64Max(math.MaxUint64-10).Draw(t, "previous")
		req := &raft.AppendEntriesRequest{
			RPCHeader: sender, Term: rapid.Uint64().Draw(t, "term"), PrevLogEntry: previous,
			PrevLogTerm: rapid.Uint64().Draw(t, "previous term"), LeaderCommitIndex: rapid.Uint64().Draw(t, "commit"), Entries: entries,
		}
		got, err := decodeAppend(encodeAppend(req), sender)
		if err != nil {
			t.Fatal(err)
		}
		// H12: a follower never learns of a commit beyond what this append shows.
		commit := min(req.LeaderCommitIndex, previous+uint64(len(entries)))
		if got.Term != req.Term || got.PrevLogEntry != previous || got.PrevLogTerm != req.PrevLogTerm || got.LeaderCommitIndex != commit ||
			!slices.EqualFunc(got.Entries, entries, sameLog) || !bytes.Equal(got.Addr, sender.Addr) {
			t.Fatalf("%+v became %+v", req, got)
		}
	})
}

func TestSmallBodiesReadBackAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string) uint64 { return rapid.Uint64().Draw(t, name) }
		yes, no := rapid.Bool().Draw(t, "yes"), rapid.Bool().Draw(t, "no")
		resp := raft.AppendEntriesResponse{Term: n("term"), LastLog: n("last"), Success: yes, NoRetryBackoff: no}
		var gotResp raft.AppendEntriesResponse
		if err := decodeAppended(encodeAppended(&resp), &gotResp); err != nil || gotResp.Term != resp.Term || gotResp.LastLog != resp.LastLog ||
			gotResp.Success != yes || gotResp.NoRetryBackoff != no {
			t.Fatalf("%+v became %+v (%v)", resp, gotResp, err)
		}
		vote, err := decodeVote(encodeVote(resp.Term, resp.LastLog, n("last term"), yes), sender)
		if err != nil || vote.Term != resp.Term || vote.LastLogIndex != resp.LastLog || vote.LeadershipTransfer != yes || !bytes.Equal(vote.Addr, sender.Addr) {
			t.Fatalf("the vote became %+v (%v)", vote, err)
		}
		if term, flag, err := decodeFlagged(encodeFlagged(resp.Term, yes)); err != nil || term != resp.Term || flag != yes {
			t.Fatalf("the answer became %d, %v (%v)", term, flag, err)
		}
		if term, err := decodeTerm(encodeTerm(resp.Term)); err != nil || term != resp.Term {
			t.Fatalf("the term became %d (%v)", term, err)
		}
		snapshot := &raft.InstallSnapshotRequest{Term: n("term"), LastLogIndex: n("index"), LastLogTerm: n("its term"),
			ConfigurationIndex: n("configuration index"), SnapshotVersion: 1, Configuration: raft.EncodeConfiguration(members)}
		got, err := decodeSnapshot(encodeSnapshot(snapshot), sender)
		if err != nil || got.Term != snapshot.Term || got.LastLogIndex != snapshot.LastLogIndex || got.LastLogTerm != snapshot.LastLogTerm ||
			got.ConfigurationIndex != snapshot.ConfigurationIndex || got.SnapshotVersion != 1 || !bytes.Equal(got.Configuration, snapshot.Configuration) {
			t.Fatalf("%+v became %+v (%v)", snapshot, got, err)
		}
	})
}

// decoders is every decoder, as one that only says whether it liked a body.
var decoders = []func(body []byte) error{
	func(b []byte) error { _, err := decodeAppend(b, sender); return err },
	func(b []byte) error { return decodeAppended(b, new(raft.AppendEntriesResponse)) },
	func(b []byte) error { _, err := decodeVote(b, sender); return err },
	func(b []byte) error { _, _, err := decodeFlagged(b); return err },
	func(b []byte) error { _, err := decodeSnapshot(b, sender); return err },
	func(b []byte) error { _, err := decodeTerm(b); return err },
}

func sampleBodies() [][]byte {
	return [][]byte{
		encodeAppend(sampleAppend()), encodeAppended(&raft.AppendEntriesResponse{Term: 1}), encodeVote(1, 2, 3, false),
		encodeFlagged(1, true), encodeSnapshot(&raft.InstallSnapshotRequest{Configuration: raft.EncodeConfiguration(members)}), encodeTerm(1),
	}
}

func TestBodyThatIsCutOrTooLongOrNewerIsRefused(t *testing.T) {
	for i, body := range sampleBodies() {
		if err := decoders[i](body); err != nil {
			t.Fatalf("body %d: %v", i, err)
		}
		for n := range body {
			if decoders[i](body[:n]) == nil {
				t.Errorf("body %d: %d of %d bytes were taken", i, n, len(body))
			}
		}
		if decoders[i](append(slices.Clone(body), 0)) == nil {
			t.Errorf("body %d: a byte behind the end was taken", i)
		}
		newer := slices.Clone(body)
		newer[0]++
		if decoders[i](newer) == nil {
			t.Errorf("body %d: a newer version was taken", i)
		}
	}
}

// mustAllocateLittle runs decode, which returns how many bytes its result takes
// beside those that it shares with its input. It may allocate that, twice the
// input and 64 KiB. Others may allocate meanwhile, so the least of a few runs
// counts.
func mustAllocateLittle(t testing.TB, input []byte, decode func() (held int)) {
	t.Helper()
	var least, most uint64
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		held := decode()
		runtime.ReadMemStats(&after)
		// Go rounds up what is allocated, by a quarter at most.
		most = uint64(2*len(input) + 64<<10 + held + held/4)
		if least = after.TotalAlloc - before.TotalAlloc; least <= most {
			return
		}
	}
	t.Fatalf("%d bytes of input made it allocate %d bytes, want at most %d", len(input), least, most)
}

// heldBy is what the entries of an append take, and nothing for one that was
// refused.
func heldBy(req *raft.AppendEntriesRequest, err error) int {
	if err != nil {
		return 0
	}
	return len(req.Entries) * int(unsafe.Sizeof(raft.Log{})+unsafe.Sizeof(&raft.Log{}))
}

func TestAllocationIsBoundedByTheBody(t *testing.T) {
	for _, count := range []uint64{1, 7, 50_000, 1 << 20, 1 << 40, math.MaxUint64} {
		e := encode(64).u64(1).u64(0).u64(0).u64(0).uvarint(count)
		// So many entries fit, but the last one tells of a byte that is not there.
		body := append(e.body, make([]byte, min(count, 50_000)*entryBytesMin)...)
		body[len(body)-1] = 1
		mustAllocateLittle(t, body, func() int {
			req, err := decodeAppend(body, sender)
			if err == nil {
				t.Errorf("%d entries were found where there are fewer", count)
			}
			return heldBy(req, err)
		})
	}
}

// TestConfigurationThatRaftCannotReadIsRefused: raft panics at it, and again
// after each restart if it is in the log.
func TestConfigurationThatRaftCannotReadIsRefused(t *testing.T) {
	req := sampleAppend()
	for _, data := range [][]byte{nil, {}, []byte("conf"), {0xdd, 0xff, 0xff, 0xff, 0xff}} {
		req.Entries[1].Type, req.Entries[1].Data = raft.LogConfiguration, data
		if _, err := decodeAppend(encodeAppend(req), sender); err == nil {
			t.Errorf("a configuration of %x was taken as an entry", data)
		}
		if _, err := decodeSnapshot(encodeSnapshot(&raft.InstallSnapshotRequest{Configuration: data}), sender); err == nil {
			t.Errorf("a configuration of %x was taken with a snapshot", data)
		}
	}
}

func FuzzDecoders(f *testing.F) {
	for _, body := range append(sampleBodies(), encodeSnapshot(sampleSnapshot())) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, decode := range decoders[1:] {
			mustAllocateLittle(t, body, func() int { _ = decode(slices.Clone(body)); return 0 })
		}
		mustAllocateLittle(t, body, func() int { return heldBy(decodeAppend(body, sender)) })
		req, err := decodeAppend(body, sender)
		if err != nil {
			return
		}
		req.LeaderCommitIndex = min(req.LeaderCommitIndex, req.PrevLogEntry+uint64(len(req.Entries)))
		again, err := decodeAppend(encodeAppend(req), sender)
		if err != nil || !slices.EqualFunc(again.Entries, req.Entries, sameLog) {
			t.Fatalf("%+v became %+v (%v)", req, again, err)
		}
	})
}

// FuzzNote reads notes whose checksum is right.
func FuzzNote(f *testing.F) {
	f.Add(sampleNote().append(nil, 1))
	f.Add([]byte(noteMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = append(slices.Clone(data), make([]byte, 4)...)
		body := data[:len(data)-4]
		binary.LittleEndian.PutUint32(data[len(body):], crc32.Checksum(body, castagnoli))
		mustAllocateLittle(t, data, func() int { _, _ = readNote(data, 1); return 0 })
		n, err := readNote(data, 1)
		if err == nil && !bytes.Equal(n.append(nil, 1), data) {
			t.Fatalf("%x reads as %+v, which is written as %x", data, n, n.append(nil, 1))
		}
	})
}

func TestTrimKeepsAnAppendBelowItsLimitAndNeverEmpty(t *testing.T) {
	for _, c := range []struct {
		name  string
		sizes []int
		want  int
	}{
		{"nothing", nil, 0},
		{"one that is larger than the limit", []int{6 << 20}, 1},
		{"a large one behind a small one", []int{10, 6 << 20}, 1},
		{"a small one behind a large one", []int{6 << 20, 10}, 1},
		{"what fits", slices.Repeat([]int{256 << 10}, 15), 15},
		{"more than fits", slices.Repeat([]int{256 << 10}, 40), 15},
		{"many small ones", slices.Repeat([]int{100}, 256), 256},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := &raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 9, LeaderCommitIndex: 1 << 40}
			for i, size := range c.sizes {
				req.Entries = append(req.Entries, &raft.Log{Index: uint64(10 + i), Data: make([]byte, size)})
			}
			trim(req)
			if len(req.Entries) != c.want {
				t.Fatalf("%d of %d entries are left", len(req.Entries), len(c.sizes))
			}
			body := encodeAppend(req)
			if len(req.Entries) > 1 && len(body) > appendBytesMax {
				t.Errorf("the body has %d bytes", len(body))
			}
			got, err := decodeAppend(body, sender)
			if err != nil || got.LeaderCommitIndex != uint64(9+c.want) {
				t.Errorf("the commit index is %d (%v)", got.LeaderCommitIndex, err)
			}
		})
	}
}

func TestEntryThatIsKnownByItsTermAloneIsNeverSent(t *testing.T) {
	for at := range 3 {
		req := &raft.AppendEntriesRequest{Term: 1, Entries: []*raft.Log{{Index: 1}, {Index: 2}, {Index: 3}}}
		req.Entries[at].Type = termOnly
		if trim(req); len(req.Entries) != at {
			t.Errorf("%d entries are sent, and the one at %d must not be", len(req.Entries), at)
		}
	}
}

func TestHeartbeatIsAnAppendThatSaysNothing(t *testing.T) {
	if !heartbeat(&raft.AppendEntriesRequest{Term: 3}) {
		t.Error("a sign of life is not seen as one")
	}
	for i, req := range []*raft.AppendEntriesRequest{
		{}, {Term: 3, PrevLogEntry: 1}, {Term: 3, PrevLogTerm: 1}, {Term: 3, LeaderCommitIndex: 1},
		{Term: 3, Entries: []*raft.Log{{Index: 1}}},
	} {
		if heartbeat(req) {
			t.Errorf("append %d passes for a sign of life", i)
		}
	}
}
