// Package httpapi is the HTTP door of a service: JSON in, calls to an
// Executor, JSON out.
//
// It keeps one rule: what it cannot understand in full it refuses with a
// sentence, and nothing of it reaches the Executor. It does not know what the
// operations do, nor whether their arguments make sense: that is checked
// behind the Executor, for all doors alike.
//
//	POST /inc  {"key":1,"value":5}           the name of any operation in lower case
//	POST /v1/INC  {"key":1,"value":5}        the same; the name in any case
//	     Quorate-Timeout: 500ms              1ms to 60s, or plain milliseconds; default 5s
//	     Idempotency-Key: 7f3a…              retries under this id take effect once
//	     ?stale=500ms                        on queries: an answer may be this old, up to 1h
//
//	200  {"value":7,"index":18}
//	200  {"value":7,"index":18,"age":"12ms"} with ?stale: all acknowledged 12 ms ago is in it
//	409  {"error":"key \"1\" holds a string, not an integer","code":"wrong_type","outcome":"not_applied"}
//
//	GET  /v1/operations                      what there is, with JSON Schemas of arguments and results
//	GET  /v1/status                          ?content_hash=true adds content_hash and content_index
//	GET  /livez                              this process answers; no leader needed
//	GET  /readyz                             200, or 503 with the reason
//
// A failure has an error, which is a sentence, and a code. It has the field of
// the body that is wrong, if it is one, which inside of a transaction is a path
// such as then[0].inc.key; an outcome, not_applied or unknown, if it is that of
// a command or its status is 503; a value, which may be null, if the code is
// conflict; and the peer address of the leader if it is another node that can
// help.
package httpapi

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/quorate/quorate"
)

// Config says what a Server serves. Service and Executor are required.
type Config struct {
	// Service is whose operations have routes.
	Service *quorate.Service
	// Executor runs the calls. It checks arguments and remembers ids.
	Executor quorate.Executor
	// Status is what GET /v1/status shows; it becomes a JSON object. Without
	// it there is no such route.
	Status func(context.Context) any
	// ContentHash is a hash over the whole state, and the index it stands at.
	// Without it the hash cannot be asked for.
	ContentHash func(context.Context) (hash string, index uint64, err error)
	// Ready returns nil once the node can serve, and why it cannot when ctx
	// ends. Default: it always can.
	Ready func(context.Context) error
	// Log gets a line for each answer that is the fault of this process.
	// Default: nothing.
	Log *slog.Logger
}

// Server is the HTTP door of one service.
type Server struct {
	config  Config
	handler http.Handler
	http    *http.Server
	drain   drain
	// routes says in a sentence what exists.
	routes string
	// catalog is the answer of operationsPath, made when it is first asked for.
	catalog func() []byte
	// buffers holds a *bytes.Buffer for a body or an answer.
	buffers sync.Pool
	// large has a place for each body that may be over bodyBytesSmall.
	large chan struct{}
}

// New makes a Server. It answers nothing before Serve, or whoever has its
// Handler, lets it.
func New(config Config) *Server {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Ready == nil {
		config.Ready = func(context.Context) error { return nil }
	}
	s := &Server{
		config:  config,
		routes:  describeRoutes(config),
		catalog: sync.OnceValue(func() []byte { return newCatalog(config.Service) }),
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
		large:   make(chan struct{}, bodiesLargeMax),
	}
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(http.HandlerFunc(s.refuseForeign))
	s.handler = s.harden(foreign.Handler(s.engine()))
	s.http = newHTTPServer(s.handler, config.Log)
	s.drain.watch(s.http)
	return s
}

// Handler is the whole door, for those who serve it themselves. It brings its
// limits on bodies, but those on connections are the caller's.
func (s *Server) Handler() http.Handler { return s.handler }

// engine is the routes.
func (s *Server) engine() *gin.Engine {
	defer quietGin()()
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false // a redirected POST may lose its body
	engine.ForwardedByClientIP = false
	_ = engine.SetTrustedProxies(nil) // cannot fail: there is none to parse
	engine.Use(s.recovered)
	engine.NoRoute(s.noRoute)
	engine.NoMethod(s.noMethod)

	operations := s.config.Service.Operations()
	for i := range operations {
		op := &operations[i]
		engine.POST(pathOf(op), func(c *gin.Context) { s.execute(c, op) })
	}
	engine.POST("/v1/:name", s.executeNamed)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		engine.Handle(method, "/livez", s.live)
		engine.Handle(method, "/readyz", s.ready)
		engine.Handle(method, operationsPath, s.operations)
		if s.config.Status != nil {
			engine.Handle(method, statusPath, s.status)
		}
	}
	return engine
}

// quietGin keeps gin from printing to standard output while routes are made,
// and returns what puts things back. The mode of gin is one for the process,
// and in debug mode, its default, it prints each route; while it serves, what
// we use of it prints nothing in any mode. So the mode of a program that has
// gin engines of its own is changed only for this moment, in which they may
// miss a debug line, and not for ever.
func quietGin() (restore func()) {
	if gin.Mode() != gin.DebugMode {
		return func() {}
	}
	gin.SetMode(gin.ReleaseMode)
	return func() { gin.SetMode(gin.DebugMode) }
}

// routesNamedMax bounds how many operations a sentence about routes names.
const routesNamedMax = 32

// describeRoutes says in a sentence what exists.
func describeRoutes(config Config) string {
	var text strings.Builder
	text.WriteString("there are POST ")
	for i, op := range config.Service.Operations() {
		if i == routesNamedMax {
			text.WriteString("and more, ")
			break
		}
		text.WriteString("/" + strings.ToLower(op.Name()) + ", ")
	}
	text.WriteString("POST /v1/{NAME} for each of them, GET " + operationsPath + ", ")
	if config.Status != nil {
		text.WriteString("GET " + statusPath + ", ")
	}
	text.WriteString("GET /livez and GET /readyz")
	return text.String()
}
