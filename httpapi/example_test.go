package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/quorate/quorate/httpapi"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
)

// The door stands on a mux of the program, below a path of its own.
func ExampleNew() {
	on := memory.New(kv.Service) // in a program, a node of the service
	mux := http.NewServeMux()
	mux.Handle("/kv/", http.StripPrefix("/kv", httpapi.New(httpapi.Config{Service: kv.Service, Executor: on}).Handler()))
	server := httptest.NewServer(mux)
	defer server.Close()

	response, err := http.Post(server.URL+"/kv/inc", "application/json", strings.NewReader(`{"key":"hits"}`))
	if err != nil {
		panic(err)
	}
	defer func() { _ = response.Body.Close() }() // read to its end
	body, err := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, strings.TrimSpace(string(body)), err)
	// Output: 200 {"value":1,"index":1} <nil>
}
