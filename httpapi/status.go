package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/quorate/quorate"
)

const statusPath = "/v1/status"

// readyTimeout is how long readiness may take to be found out. Probes wait
// for one second by default.
const readyTimeout = 500 * time.Millisecond

// live says that this process answers.
func (s *Server) live(c *gin.Context) {
	sendJSON(c.Writer, struct {
		Live bool `json:"live"`
	}{true})
}

// ready says whether the node can serve.
func (s *Server) ready(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readyTimeout)
	defer cancel()
	if err := s.config.Ready(ctx); err != nil {
		s.fail(c, nil, quorate.Errorf(quorate.Unavailable, "the node is not ready: %v", err))
		return
	}
	sendJSON(c.Writer, struct {
		Ready bool `json:"ready"`
	}{true})
}

// status shows how the node sees itself and its cluster.
func (s *Server) status(c *gin.Context) {
	hashed, err := s.wantsHash(c)
	if err != nil {
		s.fail(c, nil, err)
		return
	}
	timeout, err := readTimeout(c.Request.Header)
	if err != nil {
		s.fail(c, nil, err)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), timeout)
	defer cancel()
	status, err := json.Marshal(s.config.Status(ctx))
	if err == nil && hashed {
		status, err = s.withHash(ctx, status)
	}
	if err != nil {
		s.fail(c, nil, err)
		return
	}
	sendJSON(c.Writer, json.RawMessage(status))
}

// wantsHash says whether a request for the status asks for the content hash.
func (s *Server) wantsHash(c *gin.Context) (bool, error) {
	text, ok, err := parameter(c.Request.URL, "content_hash")
	if !ok || err != nil {
		return false, err
	}
	hashed, err := strconv.ParseBool(text)
	switch {
	case err != nil:
		return false, quorate.Errorf(quorate.Invalid, "parameter content_hash is %.40q, not true or false", text)
	case hashed && s.config.ContentHash == nil:
		return false, quorate.Errorf(quorate.Invalid, "this node has no content hash")
	}
	return hashed, nil
}

// withHash adds the content hash to the JSON object of a status.
func (s *Server) withHash(ctx context.Context, status []byte) ([]byte, error) {
	hash, index, err := s.config.ContentHash(ctx)
	if err != nil {
		return nil, err
	}
	fields, ok := bytes.CutSuffix(status, []byte("}"))
	if !ok {
		return nil, fmt.Errorf("the status is %.40s, not a JSON object", status)
	}
	if len(fields) > len("{") {
		fields = append(fields, ',')
	}
	fields = appendString(append(fields, `"content_hash":`...), hash)
	fields = strconv.AppendUint(append(fields, `,"content_index":`...), index, 10)
	return append(fields, '}'), nil
}
