package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/peer"
)

// uploaded is what a stream handler saw.
type uploaded struct {
	header string
	bytes  int
	sum    uint32
	err    error
}

// uploads reads each stream to its end and says what it saw.
func uploads(seen *[]uploaded) serve {
	return func(p *peer.Port) {
		p.HandleStream(upload, func(_ context.Context, _ peer.Member, header []byte, body io.Reader) ([]byte, error) {
			all, err := io.ReadAll(body)
			*seen = append(*seen, uploaded{string(header), len(all), crc32.ChecksumIEEE(all), err})
			if err != nil {
				return nil, err
			}
			return fmt.Append(nil, len(all), " bytes"), nil
		})
	}
}

func TestStreamArrivesWhole(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 300_000) // 4.8 MB
	for name, body := range map[string]io.Reader{
		"empty":            strings.NewReader(""),
		"small":            strings.NewReader("x"),
		"large":            bytes.NewReader(large),
		"byte by byte":     iotest.OneByteReader(bytes.NewReader(large[:1000])),
		"end with content": iotest.DataErrReader(bytes.NewReader(large)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				want, err := io.ReadAll(body)
				if err != nil {
					t.Fatal(err)
				}
				var seen []uploaded
				w := newWorld()
				a, b := w.mustStart(t, "a"), w.mustStart(t, "b", uploads(&seen))
				answer, err := a.Stream(t.Context(), b.member, upload, []byte("snapshot 7"), bytes.NewReader(want))
				if err != nil || string(answer) != fmt.Sprint(len(want), " bytes") {
					t.Errorf("Stream = %q, %v", answer, err)
				}
				if got := (uploaded{"snapshot 7", len(want), crc32.ChecksumIEEE(want), nil}); len(seen) != 1 || seen[0] != got {
					t.Errorf("seen %+v, want %+v", seen, got)
				}
				synctest.Wait()
				if a.Stats().Connections != 0 || b.Stats().Connections != 0 {
					t.Errorf("connections are left: %+v, %+v", a.Stats(), b.Stats())
				}
			})
		})
	}
}

func TestStreamWhoseBodyFailsIsNoGoodEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []uploaded
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", uploads(&seen))
		broken := fmt.Errorf("disk on fire: %w", io.EOF) // not io.EOF itself
		_, err := a.Stream(t.Context(), b.member, upload, nil, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || sent(err) != "maybe" {
			t.Errorf("Stream = %v", err)
		}
		synctest.Wait()
		if len(seen) != 1 || seen[0].bytes != 4 || !errors.Is(seen[0].err, peer.ErrAborted) || errors.Is(seen[0].err, io.EOF) || !strings.Contains(seen[0].err.Error(), "disk on fire") {
			t.Errorf("seen %+v", seen)
		}
	})
}

func TestStreamWhoseContextEndsIsNoGoodEnd(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"while it sends":  zeros{},
		"while it pauses": &pausing{first: "half", pause: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen error
				w := newWorld()
				a, b := w.mustStart(t, "a"), w.mustStart(t, "b", func(p *peer.Port) {
					p.HandleStream(upload, func(_ context.Context, _ peer.Member, _ []byte, body io.Reader) ([]byte, error) {
						buffer := make([]byte, 64<<10)
						for seen == nil {
							_, seen = body.Read(buffer)
							time.Sleep(10 * time.Millisecond)
						}
						return nil, nil
					})
				})
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				_, err := a.Stream(ctx, b.member, upload, nil, body)
				if !errors.Is(err, context.DeadlineExceeded) || sent(err) != "maybe" {
					t.Errorf("Stream = %v", err)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if !errors.Is(seen, peer.ErrAborted) || errors.Is(seen, io.EOF) {
					t.Errorf("the receiver saw %v", seen)
				}
			})
		})
	}
}

// pausing is a body that gives something, pauses, and ends.
type pausing struct {
	first string
	pause time.Duration
}

func (p *pausing) Read(into []byte) (int, error) {
	if p.first == "" {
		time.Sleep(p.pause)
		return 0, io.EOF
	}
	n := copy(into, p.first)
	p.first = p.first[n:]
	return n, nil
}

func TestStreamSurvivesASlowBodyAndASlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", func(p *peer.Port) {
			p.HandleStream(upload, func(_ context.Context, _ peer.Member, _ []byte, body io.Reader) ([]byte, error) {
				time.Sleep(time.Minute) // before the first byte
				_, err := io.Copy(io.Discard, body)
				time.Sleep(time.Minute) // after the last
				return []byte("restored"), err
			})
		})
		start := time.Now()
		body := io.MultiReader(io.LimitReader(zeros{}, 8<<20), &pausing{pause: 3 * time.Minute})
		answer, err := a.Stream(t.Context(), b.member, upload, nil, body)
		if string(answer) != "restored" || err != nil {
			t.Errorf("Stream = %q, %v after %v", answer, err, time.Since(start))
		}
	})
}

// counting is an endless body that counts what was read.
type counting struct{ bytes atomic.Int64 }

func (c *counting) Read(p []byte) (int, error) {
	c.bytes.Add(int64(len(p)))
	return len(p), nil
}

func TestSenderReadsAheadOnlySoFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", func(p *peer.Port) {
			p.HandleStream(upload, func(context.Context, peer.Member, []byte, io.Reader) ([]byte, error) {
				time.Sleep(time.Minute)
				return nil, errors.New("changed its mind")
			})
		})
		body := new(counting)
		time.AfterFunc(30*time.Second, func() {
			if got := body.bytes.Load(); got > 4<<20 {
				t.Errorf("%d bytes were read while nobody took any", got)
			}
		})
		if _, err := a.Stream(t.Context(), b.member, upload, nil, body); sent(err) != "answered" {
			t.Errorf("Stream = %v", err)
		}
	})
}

func TestStreamToASilentPeerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []uploaded
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", uploads(&seen))
		time.AfterFunc(time.Minute, func() { w.network.Cut("a", "b") })
		body := io.MultiReader(&trickle{left: 60}, zeros{})
		start := time.Now()
		_, err := a.Stream(t.Context(), b.member, upload, nil, body)
		if took := time.Since(start) - time.Minute; sent(err) != "maybe" || took > 12*time.Second {
			t.Errorf("Stream = %v, %v after the cut", err, took)
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if len(seen) != 1 || !errors.Is(seen[0].err, peer.ErrAborted) {
			t.Errorf("seen %+v", seen)
		}
	})
}

// trickle gives one byte each second.
type trickle struct{ left int }

func (r *trickle) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	r.left--
	time.Sleep(time.Second)
	p[0] = 'x'
	return 1, nil
}

func TestHandlerMayAnswerAStreamBeforeItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("no room for a snapshot")
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", func(p *peer.Port) {
			p.HandleStream(upload, func(_ context.Context, _ peer.Member, header []byte, body io.Reader) ([]byte, error) {
				if string(header) == "known" {
					return []byte("have it"), nil
				}
				io.ReadFull(body, make([]byte, 1<<20))
				return nil, full
			})
		})
		answer, err := a.Stream(t.Context(), b.member, upload, []byte("known"), zeros{})
		if string(answer) != "have it" || err != nil {
			t.Errorf("Stream = %q, %v", answer, err)
		}
		_, err = a.Stream(t.Context(), b.member, upload, nil, zeros{})
		var remote *peer.RemoteError
		if !errors.As(err, &remote) || remote.Text != full.Error() {
			t.Errorf("Stream = %v", err)
		}
		_, err = a.Stream(t.Context(), b.member, 99, nil, zeros{})
		if !errors.As(err, &remote) || remote.Text != "kind 99 is not served on bulk" {
			t.Errorf("Stream = %v", err)
		}
		_, err = a.Stream(t.Context(), b.member, upload, make([]byte, 1<<20+1), zeros{})
		if sent(err) != "unsent" {
			t.Errorf("Stream with a header above the limit = %v", err)
		}
	})
}

func TestStreamHandlerLearnsThatItsSenderIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended time.Time
		w := newWorld()
		a, b := w.mustStart(t, "a"), w.mustStart(t, "b", func(p *peer.Port) {
			p.HandleStream(upload, func(ctx context.Context, _ peer.Member, _ []byte, body io.Reader) ([]byte, error) {
				io.Copy(io.Discard, body)
				<-ctx.Done() // still busy with what it got
				ended = time.Now()
				return nil, nil
			})
		})
		start := time.Now()
		time.AfterFunc(time.Second, func() { w.network.Break("a", "b") })
		if _, err := a.Stream(t.Context(), b.member, upload, nil, strings.NewReader("all")); sent(err) != "maybe" {
			t.Errorf("Stream = %v", err)
		}
		synctest.Wait()
		if ended.Sub(start) != time.Second {
			t.Errorf("the handler learned of it after %v", ended.Sub(start))
		}
	})
}
