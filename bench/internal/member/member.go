// Package member is what runs inside a node which is a copy of the program
// that started it: a member of etcd, or a library with the callers beside it
// in one process, as those run it who build on one.
//
// The one who started it and the member talk through pipes, a line of JSON at
// a time: a Request goes to the standard input, one or two Events come back
// through the pipe after standard error. A member ends when its standard input
// does, so that none outlives the one who started it.
package member

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/quorate/quorate/bench/internal/loop"
)

// command is the argument by which a program knows that it is a member.
const command = "run-as-member"

// eventsFile is the number of the pipe for events: the first after the
// standard three.
const eventsFile = 3

// Config says which node to be.
type Config struct {
	// System is "etcd", "dragonboat" or "quorate".
	System string
	// Dir is where its data goes. It exists, and is empty at the first start.
	Dir string
	// ID is which of Peers this one is, from 0.
	ID int
	// Peers is where the nodes reach each other.
	Peers []string
	// Client is where etcd serves its clients.
	Client string `json:",omitempty"`
}

// Request asks something of a member. One of the two is set.
type Request struct {
	// Leads asks whether this node leads.
	Leads bool `json:",omitempty"`
	// Load asks for callers in this process.
	Load *Load `json:",omitempty"`
}

// Load is callers that write values of 8 bytes under random keys.
type Load struct {
	Callers          int
	Warmup, Duration time.Duration
	Keys             int
}

// Event is what a member says.
type Event struct {
	// Ready is said once, when it serves.
	Ready bool `json:",omitempty"`
	// Leads answers the request of that name.
	Leads bool `json:",omitempty"`
	// Began says that the window of a load has opened.
	Began bool `json:",omitempty"`
	// Result is what came of a load.
	Result *loop.Result `json:",omitempty"`
	// Error is why a request came to nothing.
	Error string `json:",omitempty"`
}

// member is a running node of a system.
type member interface {
	leads() bool
	// writer is what one caller calls. Its randomness is its own.
	writer(random *rand.Rand, keys int) loop.Call
	// refused says of an error that the system asks to be called later.
	refused(error) bool
	close()
}

// systems is what a member can be: the names, and how each is opened.
func systems() map[string]func(Config) (member, error) {
	return map[string]func(Config) (member, error){
		"etcd":       openEtcd,
		"dragonboat": openDragonboat,
		"quorate":    openQuorate,
	}
}

// Args is the command line that makes a program whose main calls Main a member.
func Args(config Config) []string {
	line, err := json.Marshal(config)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return []string{command, string(line)}
}

// Main runs the member that the command line of this process asks for, and
// returns the status to exit with. False if it asks for none.
func Main() (status int, member bool) {
	if len(os.Args) != 3 || os.Args[1] != command {
		return 0, false
	}
	var config Config
	err := json.Unmarshal([]byte(os.Args[2]), &config)
	if err == nil {
		err = serve(config, os.Stdin, os.NewFile(eventsFile, "events"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

func serve(config Config, requests io.Reader, events io.Writer) error {
	open, ok := systems()[config.System]
	if !ok {
		return fmt.Errorf("there is no system %q", config.System)
	}
	n, err := open(config)
	if err != nil {
		return fmt.Errorf("open a node of %s: %w", config.System, err)
	}
	defer n.close()
	say := json.NewEncoder(events)
	if err := say.Encode(Event{Ready: true}); err != nil {
		return fmt.Errorf("say that the node is ready: %w", err)
	}
	lines := json.NewDecoder(bufio.NewReader(requests))
	for {
		var request Request
		if err := lines.Decode(&request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		if err := say.Encode(answer(n, request, say)); err != nil {
			return fmt.Errorf("answer a request: %w", err)
		}
	}
}

func answer(n member, request Request, say *json.Encoder) Event {
	if request.Load == nil {
		return Event{Leads: n.leads()}
	}
	result, err := loop.Run(context.Background(), loop.Plan{
		Callers:  request.Load.Callers,
		Warmup:   request.Load.Warmup,
		Duration: request.Load.Duration,
		Refused:  n.refused,
		Open: func(int) (loop.Call, func(), error) {
			return n.writer(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), request.Load.Keys), nil, nil
		},
		Began: func() { _ = say.Encode(Event{Began: true}) }, // who does not hear it misses the result, too
	})
	if err != nil {
		return Event{Error: err.Error()}
	}
	return Event{Result: &result}
}

// value is what is written, everywhere.
const value = "12345678"

// key is what redis-benchmark makes of k:__rand_int__: 12 digits.
func key(random *rand.Rand, keys int) string {
	text := []byte("k:000000000000")
	for i, n := len(text)-1, random.IntN(keys); n > 0; i, n = i-1, n/10 {
		text[i] += byte(n % 10)
	}
	return string(text)
}
