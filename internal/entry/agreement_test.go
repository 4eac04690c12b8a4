package entry_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
)

func TestAgreementHasTheBytesOfTheGoldenFile(t *testing.T) {
	data := mustReadHex(t, "agreement.hex")
	want := entry.Header{Time: time.Unix(0, 1), Check: entry.StateCheck{Index: 7, Hash: 0x3f}}
	if got := entry.AppendAgreement([]byte("before"), want, []byte("abc")); !bytes.Equal(got, append([]byte("before"), data...)) {
		t.Errorf("encoded\n%x, golden is\n%x", got, data)
	}
	h, words, err := entry.ReadAgreement(data)
	if err != nil || !h.Time.Equal(want.Time) || h.Check != want.Check || string(words) != "abc" {
		t.Errorf("decoded %+v %q %v, want %+v", h, words, err, want)
	}
}

func TestAgreementIsNoEntryWithCallsNorTheOtherWayRound(t *testing.T) {
	agreement := mustReadHex(t, "agreement.hex")
	calls := entry.Append(nil, entry.Header{}, []quorate.Call{{Name: "GET"}})
	if !entry.IsAgreement(agreement) || entry.IsAgreement(calls) || entry.IsAgreement(nil) {
		t.Error("they are not told apart")
	}
	if _, _, err := entry.Decode(agreement); !errors.Is(err, entry.ErrNewer) {
		t.Errorf("as an entry with calls an agreement is %v", err)
	}
	if _, err := new(entry.Calls).Open(agreement); !errors.Is(err, entry.ErrNewer) {
		t.Errorf("as an entry with calls an agreement is %v", err)
	}
	if _, _, err := entry.ReadAgreement(calls); !errors.Is(err, entry.ErrNewer) {
		t.Errorf("as an agreement an entry with calls is %v", err)
	}
	newer := bytes.Clone(agreement)
	newer[0] = 3
	if _, _, err := entry.ReadAgreement(newer); !errors.Is(err, entry.ErrNewer) {
		t.Errorf("an agreement of version 3 is %v", err)
	}
}

func TestAgreementThatIsCutOrHoldsCallsIsRefused(t *testing.T) {
	data := mustReadHex(t, "agreement.hex")
	for n := range len(data) - len("abc") {
		if _, words, err := entry.ReadAgreement(data[:n:n]); err == nil {
			t.Errorf("%d bytes of %d are the agreement %q", n, len(data), words)
		}
	}
	data[len(data)-4] = 1
	if _, words, err := entry.ReadAgreement(data); err == nil {
		t.Errorf("an agreement with a call is %q", words)
	}
}
