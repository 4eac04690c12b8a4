package cli

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/load"
)

// The protocols that bench speaks.
const (
	protoHTTP = "http"
	protoRESP = "resp"
	protoGo   = "go"
)

const (
	// clientsMax bounds the clients: with their connections and buffers they take
	// some 20 KiB each.
	clientsMax = 10_000
	// pipelineMax is the longest pipeline that a node runs as one.
	pipelineMax = 1024
	// benchBytesMax bounds what all clients have under way.
	benchBytesMax = 1 << 30
	// seedDrawnMax bounds a seed that was not given: a person types it again.
	seedDrawnMax = 1_000_000
	// benchValueBytesMax leaves room for the key and what is around the value.
	benchValueBytesMax = quorate.ArgsBytesMax - 1<<10
)

// bench is one run of the command.
type bench struct {
	program *program
	nodes   *remote
	proto   choice

	// mixWords and sloWords are the flags as they were typed, and mix and slo
	// what check made of them.
	mixWords, callWords, sloWords []string
	mix                           mix
	slo                           []objective

	rate, clients, pipeline   uint64
	keySpace, valueSize, seed uint64
	duration, warmup          time.Duration
	clean                     bool
	// keyed says that the service has put: there is a mix.
	keyed bool

	// reached is the addresses at which a node answered, and missing the others.
	reached, missing []string
}

func (p *program) benchCommand() *cobra.Command {
	b := &bench{program: p, nodes: &remote{program: p.name}, keyed: p.verbs["PUT"]}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast a cluster answers",
		Long: `Measure how fast a cluster answers, and how long it takes.

With --rate it is an open loop: calls begin by a schedule that does not wait for
the slow, and latency is from the moment a call was meant to begin, as users
feel it. Without, it is a closed loop: each client begins a call when its last
one was answered, which finds how much the cluster can do; latency is then from
the moment a caller was free.

` + b.effects() + `
--addr is the addresses at which --proto is spoken: Redis addresses for resp and
go (default ` + defaultRESP + `), HTTP addresses for http (default ` + defaultHTTP + `).
The clients are spread over them, and go on to the next where a connection
breaks. A client of resp and http has a connection of its own, those of go share
the few of a Go client at each address, which retries a call under one id until
--timeout; the others do not retry. What fails is counted and ends nothing.

hgrm is the distribution of the latencies in the text that the plotter of
HdrHistogram reads. Exit codes: 8 if an --slo was missed, 130 if it was
interrupted, which prints what was measured until then.`,
		Example: b.examples(),
		GroupID: groupClient,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if b.calling() && cmd.Flags().Changed("mix") {
				return usage("--call and --mix both say what to call: leave one of them out")
			}
			return b.run(cmd.Context(), cmd.Flags().Changed("addr"))
		},
	}
	b.bind(cmd)
	return cmd
}

// bind adds the flags.
func (b *bench) bind(cmd *cobra.Command) {
	b.nodes.clientFlags(cmd)
	b.nodes.staleFlag(cmd)
	b.nodes.output = choice{outputTable, []string{outputTable, outputJSON, outputCSV, outputHGRM}}
	b.proto = choice{protoGo, []string{protoHTTP, protoRESP, protoGo}}
	flags := cmd.Flags()
	flags.Lookup("addr").Usage = "addresses of nodes, of the kind that --proto wants"
	flags.Lookup("timeout").Usage = "how long a call may take before it counts as failed"
	flags.Lookup("output").Usage = "form of the output"
	flags.Lookup("stale").Usage = "let a get be answered from a copy that may be so old"
	flags.Var(&b.proto, "proto", "what to speak: a Go client, the Redis protocol or HTTP")
	flags.Uint64Var(&b.rate, "rate", 0, "calls a second, over all clients; 0 is as many as are answered")
	flags.Uint64Var(&b.clients, "clients", 64, "how many clients there are")
	flags.Uint64Var(&b.pipeline, "pipeline", 1, "how many calls a client makes at once; not over http")
	flags.DurationVar(&b.duration, "duration", 10*time.Second, "how long to measure")
	flags.DurationVar(&b.warmup, "warmup", time.Second, "how long to run before that")
	flags.StringArrayVar(&b.callWords, "call", nil, "an operation to call and its arguments, in which "+placeholder+" is a random number; may be repeated")
	flags.Uint64Var(&b.keySpace, "key-space", 100_000, "how many keys or numbers there are")
	flags.Uint64Var(&b.seed, "seed", 0, "of the random choice of keys; 0 is another one each time")
	b.bindMix(flags)
	flags.StringSliceVar(&b.sloWords, "slo", nil, "what must hold, such as p99<10ms, mean<2ms, max<1s, errors<0.1% or rate>10000")
}

// bindMix adds the flags of a service that has put.
func (b *bench) bindMix(flags *pflag.FlagSet) {
	b.valueSize = 1
	if !b.keyed {
		return
	}
	flags.StringSliceVar(&b.mixWords, "mix", []string{"put"}, "what to call, with weights: put=50,get=50; put, get and inc")
	flags.Uint64Var(&b.valueSize, "value-size", 8, "bytes of a value")
	flags.BoolVar(&b.clean, "clean", false, "remove all keys that begin with "+keyPrefix+" at the end; not over http")
}

// calling says that what to call is typed out, and no mix.
func (b *bench) calling() bool { return len(b.callWords) > 0 }

// effects is what a run does to the cluster, for the help text.
func (b *bench) effects() string {
	const calls = `--call is a call as it is typed behind exec, such as "%s".
In its words ` + placeholder + ` is a random number below --key-space, another one in each call.
Several are called equally often. What they do stays done: use a cluster for it
whose state is of no value. Over resp a call is sent as a Redis client sends it.
That a query finds nothing is an answer; other errors of an operation are failures.
`
	text := fmt.Sprintf(calls, b.exampleCall())
	if !b.keyed {
		return text
	}
	return `It writes to the cluster: keys that begin with ` + keyPrefix + ` and no others. They stay,
at most --key-space for put and as many for inc; --clean removes at the end every
key that begins so, also those of earlier runs. A get of a key that no put has
stored finds nothing, and is an answer.

Instead of the mix, ` + text
}

// exampleCall is a call that could be measured.
func (b *bench) exampleCall() string {
	op := &b.program.service.Operations()[0]
	words := exampleOf(op)
	for i, a := range quorate.Engine().Arguments(op)[:len(words)] {
		if typeWord(a.Type) == "string" {
			words[i] += "-" + placeholder
			break
		}
	}
	return strings.Join(append([]string{op.Name()}, words...), " ")
}

// examples is for the help text.
func (b *bench) examples() string {
	work := "--call '" + b.exampleCall() + "' "
	lines := ""
	if b.keyed {
		lines = "  " + b.program.name + " bench --mix put=50,get=50 --proto resp --pipeline 16\n"
		work = ""
	}
	return lines + "  " + b.program.name + " bench " + work + "--rate 5000 --duration 1m --slo 'p99<10ms,errors<0.1%'"
}

// check refuses flags that cannot work.
func (b *bench) check(addressed bool) (err error) {
	if b.slo, err = parseObjectives(b.sloWords); err != nil {
		return usage("--slo: %v", err)
	}
	if b.proto.value == protoHTTP {
		if err := b.checkHTTP(addressed); err != nil {
			return err
		}
	}
	for _, flag := range []struct {
		name            string
		value, min, max uint64
	}{
		{"clients", b.clients, 1, clientsMax},
		{"pipeline", b.pipeline, 1, pipelineMax},
		{"rate", b.rate, 0, 1e8},
		{"key-space", b.keySpace, 1, 1e12},
		{"value-size", b.valueSize, 1, benchValueBytesMax},
	} {
		if flag.value < flag.min || flag.value > flag.max {
			return usage("--%s is %d: it may be %d to %d", flag.name, flag.value, flag.min, flag.max)
		}
	}
	if err := b.chooseMix(); err != nil {
		return err
	}
	switch bytes := b.clients * b.pipeline * b.valueSize; {
	case bytes > benchBytesMax:
		return usage("%d clients with %d values of %d bytes under way are %d MiB: the limit is %d",
			b.clients, b.pipeline, b.valueSize, bytes>>20, benchBytesMax>>20)
	case b.duration <= 0:
		return usage("a duration of %v leaves nothing to measure", b.duration)
	case b.warmup < 0:
		return usage("a warm-up cannot take %v", b.warmup)
	}
	if err := b.checkOperations(); err != nil {
		return err
	}
	return b.nodes.check()
}

// checkHTTP refuses flags that mean nothing over HTTP, and puts the addresses
// into the form that the others have.
func (b *bench) checkHTTP(addressed bool) error {
	for _, flag := range []struct {
		name  string
		given bool
		why   string
	}{
		{"pipeline", b.pipeline > 1, "a node answers one call at a time on a connection"},
		{"password-file", b.nodes.passwordFile != "", "there is no password"},
		{"tls-ca", b.nodes.ca != "", "there is no TLS"},
		{"clean", b.clean, "it is done through the Redis port"},
	} {
		if flag.given {
			return usage("--%s does not go with --proto http: %s", flag.name, flag.why)
		}
	}
	if !addressed {
		b.nodes.addrs = []string{defaultHTTP}
	}
	for i, text := range b.nodes.addrs {
		addr := strings.TrimSuffix(strings.TrimPrefix(text, "http://"), "/")
		if err := checkAddress(addr, defaultHTTP); err != nil {
			return usage("%v", err)
		}
		b.nodes.addrs[i] = addr
	}
	return nil
}

// chooseMix finds out what to call.
func (b *bench) chooseMix() (err error) {
	switch {
	case b.calling():
		if b.mix, err = b.parseCalls(); err != nil {
			return usage("--call: %v", err)
		}
		for _, s := range b.mix {
			b.valueSize = max(b.valueSize, s.task.size())
		}
	case !b.keyed:
		return usage("--call is missing: say what to call, such as --call '%s'", b.exampleCall())
	default:
		if b.mix, err = parseMix(b.mixWords, b.usual()); err != nil {
			return usage("--mix: %v", err)
		}
	}
	return nil
}

// checkOperations refuses to clean up where the service cannot.
func (b *bench) checkOperations() error {
	if b.clean && (b.program.operation(scanOperation) == nil || b.program.operation(deleteOperation) == nil) {
		return usage("--clean: service %s has no %s or no %s", b.program.service.Name(), scanOperation, deleteOperation)
	}
	return nil
}

// run measures, prints, and says whether it was good enough.
func (b *bench) run(ctx context.Context, addressed bool) error {
	if err := b.check(addressed); err != nil {
		return err
	}
	if b.seed == 0 {
		b.seed = 1 + rand.Uint64N(seedDrawnMax)
	}
	result, err := b.measure(ctx)
	if err != nil {
		return interrupted(ctx, err, true)
	}
	r := newReport(b, result)
	if result.Elapsed > 0 {
		if err := r.print(b.program.out, b.program.log, b.nodes.output.value); err != nil {
			return printed(err)
		}
	}
	if result.Interrupted {
		return interruption(result.Elapsed == 0)
	}
	if b.clean {
		if err := b.removeKeys(ctx); err != nil {
			return interrupted(ctx, err, false)
		}
	}
	return cmp.Or(b.allFailed(result), r.missed())
}

// measure runs the load. When it returns, nothing of it is under way here.
func (b *bench) measure(ctx context.Context) (*load.Result, error) {
	maker, err := b.maker(ctx)
	if err != nil {
		return nil, err
	}
	defer maker.close()
	timer, err := load.NewTimer()
	if err != nil {
		return nil, failed("%v", err)
	}
	defer timer.Close()
	plan := load.Plan{
		Callers: int(b.clients), Depth: int(b.pipeline), Rate: float64(b.rate),
		Warmup: b.warmup, Duration: b.duration, Open: maker.open, Sleep: timer.Sleep,
	}
	if terminal(b.program.log) {
		line := &progress{out: b.program.log}
		plan.Watch = line.show
		defer line.clear()
	}
	result, err := load.Run(ctx, plan)
	if err != nil {
		return nil, unavailable(quorate.NotApplied, "open the connections: %v", err)
	}
	return result, nil
}

// interrupted is the failure of a step, for which the user may be the reason.
func interrupted(ctx context.Context, err error, early bool) error {
	if ctx.Err() != nil {
		return interruption(early)
	}
	return err
}

// interruption is the failure of a run that the user has ended.
func interruption(early bool) *failure {
	f := failed("interrupted")
	if early {
		f = failed("interrupted before anything was measured")
	}
	f.exit = exitInterrupted
	return f
}

// allFailed is the failure of a run in which no call was answered.
func (b *bench) allFailed(r *load.Result) error {
	if r.Answered > 0 {
		return nil
	}
	for _, outcome := range []load.Outcome{load.Unknown, load.NotApplied, load.Other} {
		if err := r.Failed[outcome].First; err != nil {
			return noAnswer(err)
		}
	}
	return unavailable(quorate.Unknown, "no call was answered within %v", r.Elapsed.Round(time.Millisecond))
}
