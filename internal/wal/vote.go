package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The file "vote" holds the same block twice:
//
//	0             4096          8192
//	+-------------+-------------+
//	| block       | block       |
//	+-------------+-------------+
//
//	 0  magic       8  "quorvot\n"
//	 8  version     1  1
//	 9  begun       1  1 once the log has had a segment
//	10  length      2  of the candidate
//	12  zero        4
//	16  group       8
//	24  sequence    8  rises by one with every write; the higher block counts
//	32  term        8
//	40  voted term  8
//	48  candidate 256  then zeros
//	4092 checksum   4  CRC32C of bytes 0..4092
//
// Example: term 3, vote in term 3 for "n1", third write, group 1
// (format_internal_test.go holds it to this; the rest are zeros):
//
//	00000000  71 75 6f 72 76 6f 74 0a  01 01 02 00 00 00 00 00  |quorvot.........|
//	00000010  01 00 00 00 00 00 00 00  03 00 00 00 00 00 00 00  |................|
//	00000020  03 00 00 00 00 00 00 00  03 00 00 00 00 00 00 00  |................|
//	00000030  6e 31 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |n1..............|
//	00000ff0  00 00 00 00 00 00 00 00  00 00 00 00 76 3d 91 26  |............v=.&|
//
// A write goes to the first block, then a sync, then to the second, then a
// sync. So at any moment at least one block is whole, and after a write both
// are: a torn write or a flipped bit costs one block and no vote.
//
// The file appears under its name when both blocks are durable, before the
// first segment does. So a missing file beside segments, or segments missing
// beside a file that says begun, is a loss and not a beginning.
const (
	voteMagic = "quorvot\n"
	voteName  = "vote"
	// voteDraft is the name while the first two blocks are written.
	voteDraft = "vote.new"
	// voteBlockBytes is the largest unit that disks write in place, so that a
	// torn write of one block leaves the other alone.
	voteBlockBytes    = 4096
	voteSumOffset     = voteBlockBytes - 4
	candidateOffset   = 48
	candidateBytesMax = 256 // a member id is a few dozen bytes
	_                 = uint(voteSumOffset - candidateOffset - candidateBytesMax)
)

// Vote is what a member must remember of elections.
type Vote struct {
	// Term is the current term. It never goes back.
	Term uint64
	// VotedTerm is the term of the last vote given. It never goes back.
	VotedTerm uint64
	// Candidate got that vote: at most 256 bytes, which nobody may modify.
	Candidate []byte
}

// equal says that v and w are the same record.
func (v Vote) equal(w Vote) bool {
	return v.Term == w.Term && v.VotedTerm == w.VotedTerm && bytes.Equal(v.Candidate, w.Candidate)
}

// follows says why v may not replace the record now, nil if it may.
func (v Vote) follows(now Vote) error {
	switch {
	case len(v.Candidate) > candidateBytesMax:
		return fmt.Errorf("save vote: candidate has %d bytes, the maximum is %d", len(v.Candidate), candidateBytesMax)
	case v.Term < now.Term:
		return fmt.Errorf("save vote: term %d is behind the present term %d", v.Term, now.Term)
	case v.VotedTerm < now.VotedTerm:
		return fmt.Errorf("save vote: voted term %d is behind the present %d", v.VotedTerm, now.VotedTerm)
	case v.VotedTerm == now.VotedTerm && len(now.Candidate) > 0 && !bytes.Equal(v.Candidate, now.Candidate):
		return fmt.Errorf("save vote: the vote of term %d went to %q and cannot go to %q",
			v.VotedTerm, now.Candidate, v.Candidate)
	}
	return nil
}

// voteBlock is the content of a block.
type voteBlock struct {
	group, sequence uint64
	begun           bool
	vote            Vote
}

func (v voteBlock) encode() []byte {
	b := make([]byte, voteBlockBytes)
	copy(b, voteMagic)
	b[8] = formatVersion
	if v.begun {
		b[9] = 1
	}
	le := binary.LittleEndian
	le.PutUint16(b[10:], uint16(len(v.vote.Candidate)))
	le.PutUint64(b[16:], v.group)
	le.PutUint64(b[24:], v.sequence)
	le.PutUint64(b[32:], v.vote.Term)
	le.PutUint64(b[40:], v.vote.VotedTerm)
	copy(b[candidateOffset:], v.vote.Candidate)
	le.PutUint32(b[voteSumOffset:], crc32.Checksum(b[:voteSumOffset], castagnoli))
	return b
}

// parseVoteBlock decodes a block. The error says what is wrong with it.
func parseVoteBlock(b []byte) (voteBlock, error) {
	if len(b) != voteBlockBytes || string(b[:8]) != voteMagic {
		return voteBlock{}, fmt.Errorf("%w: no vote block", ErrCorrupt)
	}
	if b[8] != formatVersion {
		return voteBlock{}, fmt.Errorf("%w: vote format %d, this program knows %d", ErrCorrupt, b[8], formatVersion)
	}
	le := binary.LittleEndian
	length := int(le.Uint16(b[10:]))
	if length > candidateBytesMax || le.Uint32(b[voteSumOffset:]) != crc32.Checksum(b[:voteSumOffset], castagnoli) {
		return voteBlock{}, fmt.Errorf("%w: vote block does not check", ErrCorrupt)
	}
	v := voteBlock{
		group:    le.Uint64(b[16:]),
		sequence: le.Uint64(b[24:]),
		begun:    b[9] != 0,
		vote:     Vote{Term: le.Uint64(b[32:]), VotedTerm: le.Uint64(b[40:])},
	}
	if length > 0 {
		v.vote.Candidate = bytes.Clone(b[candidateOffset : candidateOffset+length])
	}
	return v, nil
}

// voteFile is the open vote file. The holder of Log.voting owns it.
type voteFile struct {
	file vfs.File
	path string
	// block is what both copies on disk hold.
	block voteBlock
}

// write replaces both copies, one after the other.
func (f *voteFile) write(block voteBlock) error {
	for _, offset := range []int64{0, voteBlockBytes} {
		if err := f.put(block, offset); err != nil {
			return err
		}
	}
	f.block = block
	return nil
}

// put writes one copy and makes it durable.
func (f *voteFile) put(block voteBlock, offset int64) error {
	if _, err := f.file.WriteAt(block.encode(), offset); err != nil {
		return fmt.Errorf("write %s at offset %d: %w", f.path, offset, err)
	}
	if err := f.file.SyncData(); err != nil {
		return fmt.Errorf("sync %s: %w", f.path, err)
	}
	return nil
}

// createVote makes the first vote file of a log.
func (d folder) createVote(group uint64) error {
	draft := d.fs.PathJoin(d.dir, voteDraft)
	f, err := d.fs.Create(draft, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create %s: %w", draft, err)
	}
	block := voteBlock{group: group, sequence: 1}
	_, err = f.Write(append(block.encode(), block.encode()...))
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", draft, err)
	}
	return d.rename(draft, d.fs.PathJoin(d.dir, voteName))
}

// openVote opens the vote file and brings both copies to the newest state.
func (d folder) openVote(group uint64) (*voteFile, error) {
	path := d.fs.PathJoin(d.dir, voteName)
	file, err := d.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	f := &voteFile{file: file, path: path}
	if err := f.recover(group); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f, nil
}

func (f *voteFile) recover(group uint64) error {
	first, firstErr, err := f.load(0)
	if err != nil {
		return err
	}
	second, secondErr, err := f.load(voteBlockBytes)
	if err != nil {
		return err
	}
	if firstErr != nil && secondErr != nil {
		return fmt.Errorf("%s: both copies: %w; without it this node could vote twice in a term: "+
			"restore the file, or remove this node and let it join again with an empty data directory", f.path, firstErr)
	}
	newest, stale := first, int64(voteBlockBytes)
	if firstErr != nil || (secondErr == nil && second.sequence > first.sequence) {
		newest, stale = second, 0
	}
	if newest.group != group {
		return fmt.Errorf("%s belongs to group %d, not %d", f.path, newest.group, group)
	}
	f.block = newest
	if firstErr == nil && secondErr == nil && first.sequence == second.sequence {
		return nil
	}
	// The newest copy may so far stand in the page cache alone. It must be
	// durable before the other one is touched.
	if err := f.file.SyncData(); err != nil {
		return fmt.Errorf("sync %s: %w", f.path, err)
	}
	return f.put(newest, stale)
}

// load reads a copy. The first error tells what is wrong with the copy, the
// second that the disk could not be read. A file too short for it is damaged.
func (f *voteFile) load(offset int64) (voteBlock, error, error) {
	info, err := f.file.Stat()
	if err != nil {
		return voteBlock{}, nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	b := make([]byte, voteBlockBytes)
	if info.Size() < offset+voteBlockBytes {
		b = nil
	}
	if err := readFull(f.file, b, offset); len(b) > 0 && err != nil {
		return voteBlock{}, nil, fmt.Errorf("read %s at offset %d: %w", f.path, offset, err)
	}
	block, broken := parseVoteBlock(b)
	return block, broken, nil
}

// Vote is the record as it was last saved.
func (l *Log) Vote() Vote {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.vote
}

// SaveVote replaces the record, as a whole and durably. It refuses to go back
// in a term, and to give a vote of one term to a second candidate. Saving what
// is there writes nothing.
func (l *Log) SaveVote(v Vote) error {
	if err := l.enter(l.voting); err != nil {
		return err
	}
	defer func() { <-l.voting }()
	now := l.votes.block
	if v.equal(now.vote) {
		return nil
	}
	if err := v.follows(now.vote); err != nil {
		return err
	}
	v.Candidate = bytes.Clone(v.Candidate)
	now.vote = v
	now.sequence++
	if err := l.votes.write(now); err != nil {
		return l.fail(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.vote = v
	return nil
}
