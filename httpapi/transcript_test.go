package httpapi_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/httpapi"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
)

var rewrite = flag.Bool("rewrite", false, "write the answers in testdata anew; review them as prose")

// A transcript is a conversation with the door of kv on an empty state:
//
//	# what this is about
//	POST /put {"key":1,"value":2}
//	Quorate-Timeout: 1s
//	----
//	200 {"value":2,"index":1}
//
// Method, path and body; headers; then what came back: the status, the body,
// and those headers that the conversation depends on.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runTranscript(t, file) })
	}
}

func runTranscript(t *testing.T, file string) {
	on := memory.New(kv.Service)
	server := httpapi.New(httpapi.Config{
		Service:     kv.Service,
		Executor:    on,
		Status:      func(context.Context) any { return map[string]any{"id": "n1", "role": "leader"} },
		ContentHash: func(context.Context) (string, uint64, error) { return "c0ffee", 42, nil },
	})
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(content)), "\n\n") {
		if i > 0 {
			got.WriteString("\n")
		}
		question, _, _ := strings.Cut(block, "----")
		question = strings.TrimSpace(question)
		fmt.Fprintf(&got, "%s\n----\n%s", question, converse(server.Handler(), question))
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got.String() != string(content) {
		t.Errorf("the conversation of %s went\n%s", file, got.String())
	}
	if strings.HasPrefix(filepath.Base(file), "refused") && len(on.Calls) > 0 {
		t.Errorf("calls that are refused reached the executor: %v", on.Calls)
	}
}

// converse sends what a block asks, and writes down the answer.
func converse(handler http.Handler, question string) string {
	var request *http.Request
	for line := range strings.Lines(question) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if request == nil {
			parts := append(strings.SplitN(line, " ", 3), "")
			request = httptest.NewRequest(parts[0], parts[1], strings.NewReader(parts[2]))
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		request.Header.Add(name, strings.TrimSpace(value))
	}
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	answer := fmt.Sprintf("%d %s", response.Code, response.Body)
	for _, name := range []string{"Allow", "Retry-After"} {
		if value := response.Header().Get(name); value != "" {
			answer += fmt.Sprintf("%s: %s\n", name, value)
		}
	}
	return answer
}
