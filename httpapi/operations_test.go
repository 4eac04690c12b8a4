package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/httpapi"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

// Forms has a field of each form of an argument.
type Forms struct {
	Text     string `doc:"any text"`
	Raw      []byte
	Yes      bool
	Small    int8
	Big      int64
	Count    uint16
	Most     uint64
	Ratio    float64
	Half     float32
	Any      quorate.Value
	Wait     time.Duration
	Color    color
	Free     free
	Maybe    *string
	MaybeInt *int32
	MaybeAny *quorate.Value
	Preset   int64         `default:"-7" doc:"how many"`
	Word     quorate.Value `json:"the_word" default:"word"`
	Ignored  int           `json:"-"`
	Rest     []int8        `doc:"and more"`
}

// Apply answers with what it was given.
func (f Forms) Apply(*quorate.Tx) (Forms, error) { return f, nil }

// color reads JSON in its own way, and says how.
type color string

func (c *color) UnmarshalJSON(raw []byte) error {
	for _, known := range []string{"red", "green"} {
		if string(raw) == `"`+known+`"` {
			*c = color(known)
			return nil
		}
	}
	return fmt.Errorf("is %s, not a color", raw)
}

func (c *color) JSONSchema() string { return `{"enum":["red","green"]}` }

// free reads any JSON, and does not say so.
type free string

func (f *free) UnmarshalJSON(raw []byte) error {
	*f = free(raw)
	return nil
}

// Shapes is a query that answers with each form of a result.
type Shapes struct{ Filled bool }

type shapes struct {
	None     struct{}
	Bool     bool
	Int      int16
	Uint     uint64
	Float    float64
	Odd      []float64
	Text     string
	Raw      []byte
	Pointer  *int64
	Pair     [2]string
	List     []struct{ A, B int64 }
	Map      map[string]*uint8
	Any      []quorate.Value
	Renamed  bool `json:"other" doc:"has another name"`
	Left     bool `json:"-"`
	Deep     *struct{ Pairs map[string][]byte }
	Duration time.Duration
}

// Read answers with all that there is, or with zeroes.
func (s Shapes) Read(*quorate.View) (shapes, error) {
	if !s.Filled {
		return shapes{}, nil
	}
	n, small := int64(-1), uint8(255)
	zero := 0.0
	return shapes{
		Bool: true, Int: -32768, Uint: 1<<64 - 1, Float: 1e300, Odd: []float64{1 / zero, -1 / zero, zero / zero}, Text: "\xff", Raw: []byte("text"),
		Pointer: &n, Pair: [2]string{"a", "\x00"}, List: []struct{ A, B int64 }{{1, 2}}, Map: map[string]*uint8{"a": &small, "b": nil},
		Any:  []quorate.Value{{}, values.Int(1), values.Map(values.Bytes("a"), values.List())},
		Deep: &struct{ Pairs map[string][]byte }{map[string][]byte{"x": {0xff}}}, Duration: -1,
	}, nil
}

// forms is a service whose operations have all forms.
var forms = quorate.Define("forms",
	quorate.Write[Forms]("FORMS", quorate.Doc("Give all of it back. It is <whole> & \"as is\".")),
	quorate.Read[Shapes]("SHAPES"),
	quorate.Write[Take]("NEXT.TICKET", quorate.Doc("Hand out tickets.")),
)

func mustDoor(t testing.TB, service *quorate.Service) *httpapi.Server {
	t.Helper()
	return httpapi.New(httpapi.Config{Service: service, Executor: memory.New(service)})
}

// listed is an operation in the answer of /v1/operations.
type listed struct {
	Name, Doc, Method, Path string
	Writes                  bool
	Arguments, Result       json.RawMessage
}

func mustList(t testing.TB, door *httpapi.Server) map[string]listed {
	t.Helper()
	response := httptest.NewRecorder()
	door.Handler().ServeHTTP(response, httptest.NewRequest("GET", "/v1/operations", nil))
	var answer struct{ Operations []listed }
	if err := json.Unmarshal(response.Body.Bytes(), &answer); err != nil || response.Code != 200 {
		t.Fatalf("%d %s: %v", response.Code, response.Body, err)
	}
	byName := make(map[string]listed)
	for _, op := range answer.Operations {
		byName[op.Name] = op
	}
	return byName
}

// mustCompile makes a schema, which must be one of the edition that is told.
func mustCompile(t testing.TB, text json.RawMessage) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("schema.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatalf("%s\nis no schema: %v", text, err)
	}
	return compiled
}

// taken is what a schema says of JSON.
func taken(t testing.TB, schema *jsonschema.Schema, text string) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return schema.Validate(v)
}

func TestOperationsAreListedWithTheirSchemas(t *testing.T) {
	response := httptest.NewRecorder()
	mustDoor(t, forms).Handler().ServeHTTP(response, httptest.NewRequest("GET", "/v1/operations", nil))
	var got bytes.Buffer
	if err := json.Indent(&got, response.Body.Bytes(), "", "  "); err != nil || response.Code != 200 {
		t.Fatalf("%d %s: %v", response.Code, response.Body, err)
	}
	const file = "testdata/operations.json"
	if *rewrite {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the operations are\n%s", got.String())
	}
}

func TestOperationsAreAskedForInOneWay(t *testing.T) {
	door := mustDoor(t, forms).Handler()
	for _, c := range []struct {
		method, path string
		code         int
		want         string
	}{
		{"HEAD", "/v1/operations", 200, ""},
		{"GET", "/v1/operations?x=1", 400, `"error":"/v1/operations has no parameters behind a ?"`},
		{"POST", "/v1/operations", 405, `use GET, HEAD`},
		{"GET", "/v1/nothing", 404, "GET /v1/operations"},
	} {
		response := httptest.NewRecorder()
		door.ServeHTTP(response, httptest.NewRequest(c.method, c.path, nil))
		if response.Code != c.code || !strings.Contains(response.Body.String(), c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, response.Code, response.Body, c.code, c.want)
		}
	}
}

// candidates is JSON that a field of some form takes and another does not. An
// integer in another form than its digits is not among it: to a schema 1.0 and 1e0
// are the integer 1 and -0 is 0, and the door wants them written so.
var candidates = []string{
	`null`, `true`, `false`, `""`, `"a"`, `"7"`, `"\ud83d\ude00"`, `"\u0000"`, `"red"`, `"blue"`, `"90s"`,
	`0`, `1`, `-1`, `127`, `128`, `-128`, `-129`, `65535`, `65536`, `2147483647`, `2147483648`, `-2147483648`,
	`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `-9223372036854775809`,
	`18446744073709551615`, `18446744073709551616`, `0.5`, `-2.25`, `1.5e-10`, `2.5e30`, `2.5e38`, `4.5e38`, `-4.5e38`, `1.5e308`, `2.5e308`,
	`{"base64":"/w=="}`, `{"base64":""}`, `{"base64":"/x=="}`, `{"base64":"AAAA"}`, `{"base64":"AA"}`, `{"base64":"A A="}`, `{"base64":1}`,
	`{"base64":"AA==","more":1}`, `{}`, `[]`, `[1]`, `[1,-128,127]`, `[128]`, `["a"]`, `[null]`, `[[]]`, `[true,1]`, `{"a":1}`,
}

// fitting is what each field of FORMS surely takes.
var fitting = map[string]string{
	"text": `"t"`, "raw": `{"base64":"/w=="}`, "yes": `true`, "small": `-8`, "big": `1`, "count": `2`, "most": `3`, "ratio": `0.5`,
	"half": `0.25`, "any": `"7"`, "wait": `1000`, "color": `"red"`, "free": `1`,
}

// drawForms draws the body of a call: what fits, but for one or two fields.
func drawForms(t *rapid.T) string {
	names := []string{
		"text", "raw", "yes", "small", "big", "count", "most", "ratio", "half", "any", "wait", "color", "free",
		"maybe", "maybe_int", "maybe_any", "preset", "the_word", "rest", "ignored", "Text", "more",
	}
	odd := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 2, rapid.ID).Draw(t, "fields")
	var fields []string
	for _, name := range names {
		text := fitting[name]
		for _, o := range odd {
			if o == name {
				text = rapid.SampledFrom(append([]string{""}, candidates...)).Draw(t, name)
			}
		}
		if text != "" { // otherwise it is left out
			fields = append(fields, fmt.Sprintf("%q:%s", name, text))
		}
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// agree says where a schema and the door differ about a body.
func agree(t testing.TB, door *httpapi.Server, schema *jsonschema.Schema, path, body string) {
	t.Helper()
	bySchema := taken(t, schema, body)
	response := post(door.Handler(), path, body)
	byDoor := response.Code == 200
	if byDoor != (bySchema == nil) {
		t.Fatalf("%s\nthe schema says %v\nthe door says %d %s", body, bySchema, response.Code, response.Body)
	}
	var failure struct{ Code, Field string }
	if err := json.Unmarshal(response.Body.Bytes(), &failure); err != nil || !byDoor && failure.Field == "" && failure.Code == "invalid" {
		t.Fatalf("%s\nthe door names no field: %s: %v", body, response.Body, err)
	}
}

func TestSchemaTakesWhatTheDoorTakes(t *testing.T) {
	door := mustDoor(t, forms)
	ops := mustList(t, door)
	schema := mustCompile(t, ops["FORMS"].Arguments)
	for name := range fitting { // each field with each candidate
		for _, candidate := range append([]string{""}, candidates...) {
			agree(t, door, schema, "/forms", formsWith(name, candidate))
		}
	}
	rapid.Check(t, func(r *rapid.T) { agree(t, door, schema, "/forms", drawForms(r)) })
}

// formsWith is a body that fits but for one field.
func formsWith(name, candidate string) string {
	var fields []string
	for field, text := range fitting {
		if field == name {
			text = candidate
		}
		if text != "" {
			fields = append(fields, fmt.Sprintf("%q:%s", field, text))
		}
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// drawTxn draws a transaction, most parts of which fit.
func drawTxn(t *rapid.T) string {
	call := rapid.SampledFrom([]string{
		`{"next.ticket":{"queue":"a"}}`, `{"next.ticket":{"queue":"a","count":null}}`, `{"next.ticket":{}}`, `{"next.ticket":{"queue":1}}`,
		`{"shapes":{"filled":true}}`, `{"shapes":{}}`, `{"nothing":{}}`, `{}`, `null`, `[]`, `{"shapes":{"filled":true},"next.ticket":{"queue":"a"}}`,
		`{"txn":{}}`, `{"next.ticket":{"queue":"a","more":1}}`, `{"next.ticket":null}`,
	})
	condition := rapid.SampledFrom([]string{
		`{"shapes":{"filled":false},"equals":1}`, `{"shapes":{"filled":false},"fails":"not_found"}`, `{"shapes":{"filled":false},"equals":[1,null,["a",{"base64":"/w=="}],0.5,true]}`,
		`{"shapes":{"filled":false}}`, `{"shapes":{"filled":false},"equals":1,"fails":"x"}`, `{"shapes":{"filled":false},"fails":""}`,
		`{"shapes":{"filled":false},"fails":1}`, `{"shapes":{"filled":false},"equals":{"a":1}}`, `{"next.ticket":{"queue":"a"},"equals":1}`, `{"equals":1}`,
		`{"shapes":{"filled":1},"equals":null}`, `{"shapes":{"filled":false},"equals":null}`,
	})
	list := func(name string, of *rapid.Generator[string]) string {
		if rapid.IntRange(0, 9).Draw(t, name+" is no list") == 0 {
			return rapid.SampledFrom([]string{`null`, `1`, `{}`, `"a"`}).Draw(t, name)
		}
		return "[" + strings.Join(rapid.SliceOfN(of, 0, 2).Draw(t, name), ",") + "]"
	}
	var fields []string
	for _, field := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"if", "then", "else", "each", "more"}), 0, 3, rapid.ID).Draw(t, "fields") {
		text := rapid.SampledFrom([]string{`true`, `false`, `null`, `1`}).Draw(t, field)
		switch field {
		case "if":
			text = list(field, condition)
		case "then", "else":
			text = list(field, call)
		}
		fields = append(fields, fmt.Sprintf("%q:%s", field, text))
	}
	return "{" + strings.Join(fields, ",") + "}"
}

func TestSchemaTakesTheTransactionsThatTheDoorTakes(t *testing.T) {
	door := mustDoor(t, forms)
	schema := mustCompile(t, mustList(t, door)["TXN"].Arguments)
	rapid.Check(t, func(r *rapid.T) { agree(t, door, schema, "/txn", drawTxn(r)) })
}

// TestResultsAreOfTheirSchema also shows that the schema of a result is not one
// that takes anything.
func TestResultsAreOfTheirSchema(t *testing.T) {
	all := []struct {
		service    *quorate.Service
		name, body string
	}{
		{forms, "SHAPES", `{"filled":true}`},
		{forms, "SHAPES", `{"filled":false}`},
		{forms, "FORMS", formsWith("any", "-1")},
		{forms, "FORMS", formsWith("raw", `"text"`)},
		{forms, "NEXT.TICKET", `{"queue":"a"}`},
		{forms, "TXN", `{"then":[{"next.ticket":{"queue":"a"}},{"next.ticket":{"queue":"closed"}}],"each":true}`},
		{forms, "TXN", `{"if":[{"shapes":{"filled":true},"equals":1}]}`},
		{kv.Service, "PUT", `{"key":"a","value":{"base64":"/w=="}}`},
		{kv.Service, "GETPUT", `{"key":"a","value":1}`},
		{kv.Service, "MGET", `{"keys":["a","b"]}`},
		{kv.Service, "SCAN", `{"limit":10,"values":true}`},
		{kv.Service, "TTL", `{"key":"a"}`},
		{kv.Service, "EXISTS", `{"keys":["a"]}`},
		{kv.Service, "VERSION", `{"key":"a"}`},
		{kv.Service, "RANGE", `{"key":"a","start":0,"end":-1}`},
		{kv.Service, "INCFLOAT", `{"key":"f","value":"1.5"}`},
		{kv.Service, "RANDOM", `{"number":1}`},
		{kv.Service, "MDELETE", `{"keys":["a","b"]}`},
		{kv.Service, "TXN", `{"then":[{"put":{"key":"a","value":6}}]}`},
	}
	doors := make(map[*quorate.Service]*httpapi.Server)
	for _, service := range []*quorate.Service{forms, kv.Service} {
		doors[service] = mustDoor(t, service)
	}
	for _, c := range all {
		op := mustList(t, doors[c.service])[c.name]
		schema := mustCompile(t, op.Result)
		response := post(doors[c.service].Handler(), op.Path, c.body)
		var answer struct{ Value json.RawMessage }
		if err := json.Unmarshal(response.Body.Bytes(), &answer); err != nil || response.Code != 200 {
			t.Errorf("%s %s: %d %s", c.name, c.body, response.Code, response.Body)
			continue
		}
		if err := taken(t, schema, string(answer.Value)); err != nil {
			t.Errorf("%s gives %s: %v", c.name, answer.Value, err)
		}
		if taken(t, schema, `{"nothing of":"this kind"}`) == nil && string(op.Result) != "{}" && c.name != "NEXT.TICKET" {
			t.Errorf("the schema of the result of %s takes what it never is", c.name)
		}
	}
}

func TestSchemasOfTheBuiltInServiceTakeItsCalls(t *testing.T) {
	door := mustDoor(t, kv.Service)
	for name, op := range mustList(t, door) {
		mustCompile(t, op.Result)
		schema := mustCompile(t, op.Arguments)
		for _, key := range []string{`"a"`, `1`, `18446744073709551615`, `{"base64":"/w=="}`} {
			for _, body := range []string{
				`{"key":` + key + `,"value":1}`, `{"key":` + key + `}`, `{"keys":[` + key + `]}`, `{"pairs":["a",` + key + `]}`,
				`{"key":` + key + `,"to":"b"}`, `{"number":7}`, `{}`,
			} {
				response := post(door.Handler(), op.Path, body)
				if accepted := !strings.Contains(response.Body.String(), `"code":"invalid"`); accepted {
					if err := taken(t, schema, body); err != nil {
						t.Errorf("%s %s is taken by the door: %v", name, body, err)
					}
				}
			}
		}
	}
}
