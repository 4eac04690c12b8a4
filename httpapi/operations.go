package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/quorate/quorate"
)

const operationsPath = "/v1/operations"

// schemaEdition is the edition of JSON Schema in which arguments and results
// are told of.
const schemaEdition = "https://json-schema.org/draft/2020-12/schema"

// catalog is what GET /v1/operations shows.
type catalog struct {
	Service    string      `json:"service"`
	Schema     string      `json:"schema"`
	Operations []described `json:"operations"`
}

// described is one operation in it.
type described struct {
	Name   string `json:"name"`
	Doc    string `json:"doc,omitempty"`
	Writes bool   `json:"writes"`
	Method string `json:"method"`
	Path   string `json:"path"`
	// Arguments is of the body of a request, and Result of the value in an
	// answer. The fields of Arguments stand in the order of the arguments.
	Arguments json.RawMessage `json:"arguments"`
	Result    json.RawMessage `json:"result"`
}

// operations lists what the service can do.
func (s *Server) operations(c *gin.Context) {
	if c.Request.URL.RawQuery != "" {
		s.fail(c, nil, quorate.Errorf(quorate.Invalid, "%s has no parameters behind a ?", operationsPath))
		return
	}
	send(c.Writer, http.StatusOK, s.catalog())
}

// newCatalog tells of the operations of a service, as JSON.
func newCatalog(service *quorate.Service) []byte {
	list := catalog{Service: service.Name(), Schema: schemaEdition}
	operations := service.Operations()
	for i := range operations {
		op := &operations[i]
		d := described{Name: op.Name(), Doc: op.Doc(), Writes: op.Writes(), Method: http.MethodPost, Path: pathOf(op)}
		d.Arguments, d.Result = quorate.Engine().Schema(op)
		list.Operations = append(list.Operations, d)
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // what is said of a field is for people
	if err := encoder.Encode(list); err != nil {
		panic(fmt.Errorf("write the operations as JSON: %w", err))
	}
	return body.Bytes()
}

// pathOf is where the calls of an operation go.
func pathOf(op *quorate.Operation) string { return "/" + strings.ToLower(op.Name()) }
