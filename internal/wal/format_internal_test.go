package wal

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// drawn fails unless the file holds the dump of b, line by line, in a comment.
// A line that is all zeros may be left out of the drawing.
func drawn(t *testing.T, file string, b []byte) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// Checkouts on Windows may carry carriage returns.
	text := strings.ReplaceAll(string(source), "\r\n", "\n")
	for i := 0; i < len(b); i += 16 {
		row := b[i:min(i+16, len(b))]
		if len(bytes.Trim(row, "\x00")) == 0 {
			continue
		}
		line := dumpLine(i, row)
		if !strings.Contains(text, "//\t"+line+"\n") {
			t.Errorf("%s does not draw\n//\t%s", file, line)
		}
	}
}

// dumpLine is one line of a drawing: the offset and up to 16 bytes.
func dumpLine(offset int, row []byte) string {
	all := strings.Split(strings.TrimRight(hex.Dump(append(make([]byte, offset), row...)), "\n"), "\n")
	return all[len(all)-1]
}

func TestDrawingOfSegmentAndRecordIsTrue(t *testing.T) {
	header, seed := segmentHeader{group: 1, sequence: 1, salt: 0x1122334455667788, size: 16 << 20}.encode()
	drawn(t, "format.go", header)
	r := record{kind: recordEntry, final: true, batch: 5, index: 7, term: 2, time: 1000}
	drawn(t, "format.go", appendRecord(nil, r, []byte("inc hits"), []byte("x"), seed))
}

func TestDrawingOfVoteBlockIsTrue(t *testing.T) {
	block := voteBlock{group: 1, sequence: 3, begun: true, vote: Vote{Term: 3, VotedTerm: 3, Candidate: []byte("n1")}}
	drawn(t, "vote.go", block.encode())
}
