package httpapi_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/httpapi"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

// post sends a body to a handler and returns the answer.
func post(handler http.Handler, path, body string) *httptest.ResponseRecorder {
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return response
}

// answering is a door to kv whose Executor gives this reply to every call.
func answering(reply quorate.Reply) http.Handler {
	return httpapi.New(httpapi.Config{
		Service: kv.Service,
		Executor: memory.Func(func(context.Context, []quorate.Call) []quorate.Reply {
			return []quorate.Reply{reply}
		}),
	}).Handler()
}

func TestEachCodeHasItsStatus(t *testing.T) {
	for code, want := range map[quorate.Code]int{
		quorate.Invalid:          400,
		quorate.TooLarge:         413,
		quorate.UnknownOperation: 404,
		quorate.NotFound:         404,
		quorate.Conflict:         409,
		quorate.WrongType:        409,
		quorate.Overflow:         409,
		quorate.IDReused:         422,
		quorate.Unavailable:      503,
		quorate.Overloaded:       503,
		quorate.Failed:           409,
		quorate.Panicked:         500,
		quorate.Internal:         500,
		"sold_out":               409, // of a user's own command
	} {
		response := post(answering(quorate.Reply{Err: quorate.Errorf(code, "no")}), "/inc", `{"key":1}`)
		value := ""
		if code == quorate.Conflict {
			value = `,"value":null`
		}
		body := fmt.Sprintf(`{"error":"no","code":"%s","outcome":"not_applied"%s}`, code, value) + "\n"
		if response.Code != want || response.Body.String() != body {
			t.Errorf("%s is %d %s, want %d %s", code, response.Code, response.Body, want, body)
		}
		if retry := response.Header().Get("Retry-After"); (retry == "1") != (code == quorate.Overloaded) {
			t.Errorf("%s has Retry-After %q", code, retry)
		}
	}
}

func TestFailuresSayWhatIsKnown(t *testing.T) {
	sure := &quorate.Error{Code: quorate.Unavailable, Message: "no leader"}
	unsure := &quorate.Error{Code: quorate.Unavailable, Message: "time is up", Outcome: quorate.Unknown, Leader: "10.0.0.2:7302"}
	there := &quorate.Error{Code: "sold_out", Message: "none left", Value: values.Int(3)}
	const fault = `{"error":"the node is at fault; its log says why","code":"internal"`
	for _, c := range []struct {
		name, path string
		err        error
		want       string
	}{
		{"a write without a leader", "/inc", sure, `{"error":"no leader","code":"unavailable","outcome":"not_applied"}`},
		{"a write that may have happened", "/inc", unsure, `{"error":"time is up","code":"unavailable","outcome":"unknown","leader":"10.0.0.2:7302"}`},
		{"a read has no effect", "/get", unsure, `{"error":"time is up","code":"unavailable","outcome":"not_applied","leader":"10.0.0.2:7302"}`},
		{"a wrapped error", "/inc", fmt.Errorf("forward: %w", unsure), `{"error":"time is up","code":"unavailable","outcome":"unknown","leader":"10.0.0.2:7302"}`},
		{"a value beside a code of one's own", "/inc", there, `{"error":"none left","code":"sold_out","outcome":"not_applied","value":3}`},
		{"a code without a sentence", "/inc", &quorate.Error{Code: "sold_out"}, `{"error":"sold_out","code":"sold_out","outcome":"not_applied"}`},
		{"a sentence that is not UTF-8", "/get", quorate.Errorf(quorate.NotFound, "no \xff"), `{"error":"no ` + "\uFFFD" + `","code":"not_found"}`},
		{"a foreign error of a write", "/inc", errors.New("secret path"), fault + `,"outcome":"unknown"}`},
		{"a foreign error of a read", "/get", errors.New("secret path"), fault + `}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := post(answering(quorate.Reply{Err: c.err}), c.path, `{"key":1}`).Body.String()
			if got != c.want+"\n" {
				t.Errorf("got  %swant %s", got, c.want)
			}
		})
	}
	if unsure.Outcome != quorate.Unknown {
		t.Error("the error of the executor was changed")
	}
}

func TestExecutorThatDoesNotAnswerIsAtFault(t *testing.T) {
	var log bytes.Buffer
	door := httpapi.New(httpapi.Config{
		Service:  kv.Service,
		Executor: memory.Func(func(context.Context, []quorate.Call) []quorate.Reply { return nil }),
		Log:      slog.New(slog.NewTextHandler(&log, nil)),
	}).Handler()
	response := post(door, "/inc", `{"key":1}`)
	if response.Code != 500 || !strings.Contains(response.Body.String(), `"outcome":"unknown"`) {
		t.Errorf("got %d %s", response.Code, response.Body)
	}
	if !strings.Contains(log.String(), "0 replies to one call") {
		t.Errorf("the log says %q", &log)
	}
}

func TestPanicIsLoggedAndAnswered(t *testing.T) {
	var log bytes.Buffer
	door := httpapi.New(httpapi.Config{
		Service:  kv.Service,
		Executor: memory.Func(func(context.Context, []quorate.Call) []quorate.Reply { panic("secret") }),
		Log:      slog.New(slog.NewTextHandler(&log, nil)),
	}).Handler()
	response := post(door, "/inc", `{"key":1}`)
	const want = `{"error":"the node is at fault; its log says why","code":"internal","outcome":"unknown"}` + "\n"
	if response.Code != 500 || response.Body.String() != want {
		t.Errorf("got %d %s", response.Code, response.Body)
	}
	if !strings.Contains(log.String(), "secret") || !strings.Contains(log.String(), "httpapi_test.go") {
		t.Errorf("the log says %q", &log)
	}
}

func TestPanicBehindAnAnswerCutsTheConnection(t *testing.T) {
	door := answering(quorate.Reply{Value: values.Int(1)})
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v", p)
		}
	}()
	door.ServeHTTP(panicWriter{httptest.NewRecorder()}, httptest.NewRequest(http.MethodPost, "/inc", strings.NewReader(`{"key":1}`)))
	t.Error("the panic did not get through")
}

// panicWriter fails in the middle of an answer.
type panicWriter struct{ *httptest.ResponseRecorder }

func (panicWriter) Write([]byte) (int, error) { panic("in the middle") }

func TestCallCarriesWhatTheRequestSays(t *testing.T) {
	var got quorate.Call
	var left time.Duration
	door := httpapi.New(httpapi.Config{
		Service: kv.Service,
		Executor: memory.Func(func(ctx context.Context, calls []quorate.Call) []quorate.Reply {
			deadline, _ := ctx.Deadline()
			got, left = calls[0], time.Until(deadline)
			return []quorate.Reply{{Age: time.Duration(calls[0].Read) / 3}}
		}),
	}).Handler()
	for _, c := range []struct {
		path, timeout, id string
		want              quorate.Call
		left              time.Duration
		age               string
	}{
		{"/inc", "", "", quorate.Call{Name: "INC"}, 5 * time.Second, ""},
		{"/inc", "1ms", "", quorate.Call{Name: "INC"}, time.Millisecond, ""},
		{"/inc", "60s", "", quorate.Call{Name: "INC"}, time.Minute, ""},
		{"/v1/inc", "250", "a b", quorate.Call{Name: "INC", ID: "a b"}, 250 * time.Millisecond, ""},
		{"/get?stale=600ms", "", "", quorate.Call{Name: "GET", Read: time.Duration(600 * time.Millisecond)}, 5 * time.Second, `,"age":"200ms"`},
		{"/get?stale=20", "", "", quorate.Call{Name: "GET", Read: time.Duration(20 * time.Millisecond)}, 5 * time.Second, `,"age":"6.667ms"`},
		{"/get", "", "an id on a query", quorate.Call{Name: "GET"}, 5 * time.Second, ""},
	} {
		synctest.Test(t, func(t *testing.T) { // so that no time passes
			request := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(`{"key":7}`))
			if c.timeout != "" {
				request.Header.Set("Quorate-Timeout", c.timeout)
			}
			if c.id != "" {
				request.Header.Set("Idempotency-Key", c.id)
			}
			response := httptest.NewRecorder()
			door.ServeHTTP(response, request)
			want := `{"value":null,"index":0` + c.age + "}\n"
			if response.Code != 200 || response.Body.String() != want {
				t.Errorf("%s: %d %s", c.path, response.Code, response.Body)
			}
			if got.Name != c.want.Name || got.ID != c.want.ID || got.Read != c.want.Read || left != c.left {
				t.Errorf("%+v: the call is %+v with %v left", c, got, left)
			}
			if len(got.Args) != 1 || string(got.Args[0]) != "7" {
				t.Errorf("%s: arguments %q", c.path, got.Args)
			}
		})
	}
}

func TestBodyOverTheLimitIsRefusedBeforeItIsRead(t *testing.T) {
	on := memory.New(kv.Service)
	door := httpapi.New(httpapi.Config{Service: kv.Service, Executor: on}).Handler()
	huge := `{"key":1,"value":"` + strings.Repeat("x", 3<<19) + `"}`
	const want = `{"error":"the body is over the limit of 1572864 bytes","code":"too_large","outcome":"not_applied"}` + "\n"

	unread := strings.NewReader(huge)
	request := httptest.NewRequest(http.MethodPost, "/put", unread)
	response := httptest.NewRecorder()
	door.ServeHTTP(response, request)
	if response.Code != 413 || response.Body.String() != want || unread.Len() != len(huge) {
		t.Errorf("announced: %d %s with %d of %d bytes left", response.Code, response.Body, unread.Len(), len(huge))
	}

	request = httptest.NewRequest(http.MethodPost, "/put", io.MultiReader(strings.NewReader(huge))) // of unknown length
	response = httptest.NewRecorder()
	door.ServeHTTP(response, request)
	if response.Code != 413 || response.Body.String() != want {
		t.Errorf("not announced: %d %s", response.Code, response.Body)
	}
	if len(on.Calls) > 0 {
		t.Error("a call reached the executor")
	}
}

func TestLargestArgumentsPassInBase64(t *testing.T) {
	on := memory.New(kv.Service)
	door := httpapi.New(httpapi.Config{Service: kv.Service, Executor: on}).Handler()
	value := bytes.Repeat([]byte{0xff}, quorate.ArgsBytesMax-1)
	put := `{"key":"k","value":{"base64":"` + base64.StdEncoding.EncodeToString(value) + `"}}`
	if response := post(door, "/put", put); response.Code != 200 {
		t.Fatalf("at the limit: %d %.200s", response.Code, response.Body)
	}
	put = strings.Replace(put, `"k"`, `"kk"`, 1)
	if response := post(door, "/put", put); response.Code != 413 {
		t.Fatalf("over the limit: %d %.200s", response.Code, response.Body)
	}
}

func TestBytesThatAreNoJSONAreRefused(t *testing.T) {
	on := memory.New(kv.Service)
	door := httpapi.New(httpapi.Config{Service: kv.Service, Executor: on}).Handler()
	for body, want := range map[string]string{
		"{\"key\":\"\xff\",\"value\":1}":             "the body is not valid UTF-8",
		"\xef\xbb\xbf{\"key\":1,\"value\":1}":        "the body is not JSON",
		strings.Repeat("[", 100_000):                 "the body is not JSON: invalid character '[' exceeded max depth",
		`{"key":` + strings.Repeat("[", 100_000):     "the body is not JSON: invalid character '[' exceeded max depth",
		`{"` + strings.Repeat("k", 100_000) + `":1}`: "is missing",
		" \n\t ": "the body is empty",
	} {
		response := post(door, "/put", body)
		if response.Code != 400 || !strings.Contains(response.Body.String(), want) || response.Body.Len() > 400 {
			t.Errorf("%.20q: %d %.300s, want %q", body, response.Code, response.Body, want)
		}
	}
	if len(on.Calls) > 0 {
		t.Error("a call reached the executor")
	}
}

func TestBodyThatBreaksOffIsRefused(t *testing.T) {
	on := memory.New(kv.Service)
	door := httpapi.New(httpapi.Config{Service: kv.Service, Executor: on}).Handler()
	broken := io.MultiReader(strings.NewReader(`{"key":1}`), brokenReader{})
	response := httptest.NewRecorder()
	door.ServeHTTP(response, httptest.NewRequest(http.MethodPost, "/inc", broken))
	if response.Code != 400 || len(on.Calls) > 0 {
		t.Errorf("%d %s and %d calls", response.Code, response.Body, len(on.Calls))
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestEveryAnswerIsGuarded(t *testing.T) {
	door := answering(quorate.Reply{})
	for _, path := range []string{"/inc", "/nowhere", "/livez"} {
		h := post(door, path, `{"key":1}`).Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Type": "application/json", "Cache-Control": "no-store", "Server": "",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if h.Get("Content-Length") == "" {
			t.Errorf("%s: the answer has no length", path)
		}
	}
}

func TestReadinessHasAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := httpapi.New(httpapi.Config{
			Service:  kv.Service,
			Executor: memory.New(kv.Service),
			Ready: func(ctx context.Context) error {
				<-ctx.Done()
				return errors.New("no leader yet")
			},
		}).Handler()
		start := time.Now()
		response := httptest.NewRecorder()
		door.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		const want = `{"error":"the node is not ready: no leader yet","code":"unavailable","outcome":"not_applied"}` + "\n"
		if response.Code != 503 || response.Body.String() != want {
			t.Errorf("got %d %s", response.Code, response.Body)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v, longer than probes wait", took)
		}
		response = httptest.NewRecorder()
		door.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/livez", nil))
		if response.Code != 200 {
			t.Errorf("livez answers %d without a leader", response.Code)
		}
	})
}

func TestStatusThatCannotBeShownIsAFailure(t *testing.T) {
	config := httpapi.Config{
		Service:  kv.Service,
		Executor: memory.New(kv.Service),
		Status:   func(context.Context) any { return []int{1} },
		ContentHash: func(context.Context) (string, uint64, error) {
			return "", 0, quorate.Errorf(quorate.Unavailable, "the node is closed")
		},
	}
	get := func(path string) (int, string) {
		response := httptest.NewRecorder()
		httpapi.New(config).Handler().ServeHTTP(response, httptest.NewRequest(http.MethodGet, path, nil))
		return response.Code, response.Body.String()
	}
	if code, body := get("/v1/status?content_hash=true"); code != 503 || !strings.Contains(body, "the node is closed") {
		t.Errorf("a hash that fails: %d %s", code, body)
	}
	config.ContentHash = func(context.Context) (string, uint64, error) { return "h", 1, nil }
	if code, body := get("/v1/status?content_hash=true"); code != 500 {
		t.Errorf("a status that is a list: %d %s", code, body)
	}
	config.Status = func(context.Context) any { return struct{}{} }
	if code, body := get("/v1/status?content_hash=true"); code != 200 || body != `{"content_hash":"h","content_index":1}`+"\n" {
		t.Errorf("an empty status: %d %s", code, body)
	}
	config.ContentHash = nil
	if code, body := get("/v1/status?content_hash=true"); code != 400 {
		t.Errorf("without a hash: %d %s", code, body)
	}
	config.Status = nil
	if code, body := get("/v1/status"); code != 404 || strings.Contains(body, "GET /v1/status,") {
		t.Errorf("without a status: %d %s", code, body)
	}
}

// Take hands out tickets, and fails with a code of its own.
type Take struct {
	Queue string
	Count int64 `default:"1"`
}

func (t Take) Apply(tx *quorate.Tx) (map[string]int64, error) {
	if t.Queue == "closed" {
		return nil, quorate.Errorf("sold_out", "no tickets for %s", t.Queue)
	}
	if t.Queue == "broken" {
		panic("a secret of the state")
	}
	return map[string]int64{"next": t.Count, "index": int64(tx.Index())}, nil
}

type Ping struct{}

func (Ping) Read(*quorate.View) (struct{}, error) { return struct{}{}, nil }

func TestAnyServiceHasTheSameDoor(t *testing.T) {
	tickets := quorate.Define("tickets", quorate.Write[Take]("NEXT.TICKET"), quorate.Read[Ping]("STATUS"))
	door := httpapi.New(httpapi.Config{
		Service: tickets, Executor: memory.New(tickets),
		Status: func(context.Context) any { return struct{}{} },
	}).Handler()
	for _, c := range []struct {
		path, body string
		code       int
		want       string
	}{
		{"/next.ticket", `{"queue":"a"}`, 200, `{"value":{"index":1,"next":1},"index":1}`},
		{"/v1/next.ticket", `{"queue":"a","count":2}`, 200, `{"value":{"index":2,"next":2},"index":2}`},
		{"/v1/NEXT.TICKET", `{"queue":"closed"}`, 409, `{"error":"no tickets for closed","code":"sold_out","outcome":"not_applied"}`},
		{"/next.ticket", `{"queue":"broken"}`, 500, `{"error":"operation NEXT.TICKET panicked","code":"panicked","outcome":"not_applied"}`},
		{"/next.ticket", `{}`, 400, `{"error":"field \"queue\" is missing: NEXT.TICKET takes queue (string), count (integer, optional)","code":"invalid","field":"queue","outcome":"not_applied"}`},
		{"/v1/status", `{}`, 200, `{"value":null,"index":4}`},
		{"/status", ``, 400, `{"error":"the body is empty: send a JSON object","code":"invalid"}`},
		{"/status", `{"a":1}`, 400, `{"error":"field \"a\" is not known: STATUS takes no fields","code":"invalid","field":"a"}`},
	} {
		response := post(door, c.path, c.body)
		if response.Code != c.code || response.Body.String() != c.want+"\n" {
			t.Errorf("%s %s\n got %d %swant %d %s", c.path, c.body, response.Code, response.Body, c.code, c.want)
		}
	}
}

// wide is as many query types as one likes.
type wide[A any] struct{}

func (wide[A]) Read(*quorate.View) (bool, error) { return true, nil }

func TestSentenceAboutRoutesIsBounded(t *testing.T) {
	service := quorate.Define("wide",
		quorate.Read[wide[[0]int]]("A0"), quorate.Read[wide[[1]int]]("A1"), quorate.Read[wide[[2]int]]("A2"),
		quorate.Read[wide[[3]int]]("A3"), quorate.Read[wide[[4]int]]("A4"), quorate.Read[wide[[5]int]]("A5"),
		quorate.Read[wide[[6]int]]("A6"), quorate.Read[wide[[7]int]]("A7"), quorate.Read[wide[[8]int]]("A8"),
		quorate.Read[wide[[9]int]]("A9"), quorate.Read[wide[[10]int]]("A10"), quorate.Read[wide[[11]int]]("A11"),
		quorate.Read[wide[[12]int]]("A12"), quorate.Read[wide[[13]int]]("A13"), quorate.Read[wide[[14]int]]("A14"),
		quorate.Read[wide[[15]int]]("A15"), quorate.Read[wide[[16]int]]("A16"), quorate.Read[wide[[17]int]]("A17"),
		quorate.Read[wide[[18]int]]("A18"), quorate.Read[wide[[19]int]]("A19"), quorate.Read[wide[[20]int]]("A20"),
		quorate.Read[wide[[21]int]]("A21"), quorate.Read[wide[[22]int]]("A22"), quorate.Read[wide[[23]int]]("A23"),
		quorate.Read[wide[[24]int]]("A24"), quorate.Read[wide[[25]int]]("A25"), quorate.Read[wide[[26]int]]("A26"),
		quorate.Read[wide[[27]int]]("A27"), quorate.Read[wide[[28]int]]("A28"), quorate.Read[wide[[29]int]]("A29"),
		quorate.Read[wide[[30]int]]("A30"), quorate.Read[wide[[31]int]]("A31"), quorate.Read[wide[[32]int]]("A32"),
	)
	door := httpapi.New(httpapi.Config{Service: service, Executor: memory.New(service)}).Handler()
	sentence := post(door, "/nowhere", "").Body.String()
	if !strings.Contains(sentence, "/a31, and more, POST /v1/{NAME}") {
		t.Errorf("the sentence is %s", sentence)
	}
}

// A program may have gin engines of its own, and none of them is ours.
func TestModeOfGinIsLeftAsItWas(t *testing.T) {
	was, writer := gin.Mode(), gin.DefaultWriter
	defer func() {
		gin.SetMode(was)
		gin.DefaultWriter = writer
	}()
	var printed bytes.Buffer
	gin.DefaultWriter = &printed
	gin.SetMode(gin.DebugMode)
	answering(quorate.Reply{})
	if gin.Mode() != gin.DebugMode || printed.Len() > 0 {
		t.Errorf("mode %s, printed %q", gin.Mode(), &printed)
	}
}

func TestConcurrentRequestsGetTheirOwnAnswers(t *testing.T) {
	door := httpapi.New(httpapi.Config{Service: kv.Service, Executor: memory.New(kv.Service)}).Handler()
	const clients, calls = 8, 200
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for n := range calls {
				body := fmt.Sprintf(`{"key":"own-%d"}`, client)
				want := fmt.Sprintf(`{"value":%d,`, n+1)
				if got := post(door, "/inc", body).Body.String(); !strings.HasPrefix(got, want) {
					t.Errorf("client %d, call %d: %s", client, n, got)
					return
				}
				post(door, "/inc", `{"key":"shared"}`)
			}
		})
	}
	wg.Wait()
	var answer struct{ Value int }
	if err := json.Unmarshal(post(door, "/get", `{"key":"shared"}`).Body.Bytes(), &answer); err != nil || answer.Value != clients*calls {
		t.Errorf("shared is %d (%v), want %d", answer.Value, err, clients*calls)
	}
}

func BenchmarkPut(b *testing.B) {
	door := answering(quorate.Reply{Value: values.Int(2), Index: 17})
	body := strings.NewReader(`{"key":"0123456789abcdef","value":2}`)
	request := httptest.NewRequest(http.MethodPost, "/put", body)
	closer := io.NopCloser(body)
	writer := discard{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = body.Seek(0, io.SeekStart)
		request.Body = closer
		door.ServeHTTP(writer, request)
	}
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
