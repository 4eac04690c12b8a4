package quorate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/values"
)

// Take is a command as a user writes one.
type Take struct {
	Queue string  `doc:"which queue"`
	Count int64   `default:"2" doc:" how many "`
	Note  *string `json:"why"`
	Tags  []quorate.Value
}

// Check names the field that it finds wrong.
func (t Take) Check() error {
	if t.Count < 0 {
		return &quorate.Error{Code: quorate.Invalid, Field: "count", Message: "the count is below 0"}
	}
	return nil
}

// Apply fails with a field, which is nobody's business any more.
func (t Take) Apply(*quorate.Tx) (int64, error) {
	if t.Queue == "closed" {
		return 0, &quorate.Error{Code: "closed", Field: "queue", Message: "it is closed"}
	}
	return t.Count, nil
}

var takes = quorate.Define("takes", quorate.Write[Take]("TAKE", quorate.Doc("\nTake a ticket. Or more.\n")))

func TestOperationTellsOfItsArguments(t *testing.T) {
	op := mustOperation(t, takes, "TAKE")
	if op.Doc() != "Take a ticket. Or more." {
		t.Errorf("the doc is %q", op.Doc())
	}
	text, number, value := reflect.TypeFor[string](), reflect.TypeFor[int64](), reflect.TypeFor[quorate.Value]()
	want := []engine.Argument[quorate.Value]{
		{Name: "queue", Type: text, Doc: "which queue"},
		{Name: "count", Type: number, Optional: true, Default: values.Int(2), Doc: "how many"},
		{Name: "why", Type: text, Optional: true},
		{Name: "tags", Type: value, List: true},
	}
	if got := quorate.Engine().Arguments(op); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	txn := mustOperation(t, takes, "TXN")
	if quorate.Engine().Arguments(txn) != nil || !strings.HasPrefix(txn.Doc(), "Run several calls as one, if conditions hold. ") {
		t.Errorf("of a transaction it tells %+v: %s", quorate.Engine().Arguments(txn), txn.Doc())
	}
}

func TestDefaultsAreValuesOfTheirType(t *testing.T) {
	op := mustOperation(t, quorate.Define("presets", quorate.Write[presets]("PRESETS")), "PRESETS")
	var got []string
	for _, a := range quorate.Engine().Arguments(op) {
		got = append(got, fmt.Sprintf("%s %s", a.Default.Kind(), a.Default))
	}
	want := "[bool true unsigned integer 3 float 0.5 string 7 integer 7 string x none ]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

type presets struct {
	Yes   bool          `default:"true"`
	Count uint8         `default:"3"`
	Ratio float32       `default:"0.5"`
	Text  string        `default:"7"`
	Any   quorate.Value `default:"7"`
	Word  quorate.Value `default:"x"`
	None  *string
}

func (presets) Apply(*quorate.Tx) (bool, error) { return true, nil }

// The doors prove the schemas against what they take; here is what they look
// like.
func TestSchemasAreInTheOrderOfTheFields(t *testing.T) {
	arguments, result := quorate.Engine().Schema(mustOperation(t, takes, "TAKE"))
	const (
		base64 = `{"type":"object","properties":{"base64":{"type":"string","contentEncoding":"base64","pattern":"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?$"}},"required":["base64"],"additionalProperties":false}`
		number = `"minimum":-9223372036854775808,"maximum":9223372036854775807`
	)
	want := `{"type":"object","properties":{` +
		`"queue":{"description":"which queue","anyOf":[{"type":"string"},` + base64 + `]},` +
		`"count":{"description":"how many","type":["integer","null"],` + number + `,"default":2},` +
		`"why":{"anyOf":[{"type":"string"},` + base64 + `,{"type":"null"}]},` +
		`"tags":{"type":["array","null"],"items":{"anyOf":[{"type":"integer",` + number + `},{"type":"string"},` + base64 + `]},"maxItems":` +
		fmt.Sprint(quorate.ArgsMax-3) + `}` +
		`},"required":["queue"],"additionalProperties":false}`
	if string(arguments) != want {
		t.Errorf("got  %s\nwant %s", arguments, want)
	}
	if want := `{"type":"integer",` + number + `}`; string(result) != want {
		t.Errorf("the result is %s, want %s", result, want)
	}
	for _, service := range []*quorate.Service{takes, all} {
		for _, op := range service.Operations() {
			arguments, result := quorate.Engine().Schema(&op)
			if !json.Valid(arguments) || !json.Valid(result) {
				t.Errorf("%s: no JSON:\n%s\n%s", op.Name(), arguments, result)
			}
		}
	}
}

func TestErrorsNameTheFieldThatIsWrong(t *testing.T) {
	on := memory.New(takes)
	op := mustOperation(t, takes, "TAKE")
	txn := mustOperation(t, takes, "TXN")
	execute := func(args ...string) error {
		call := quorate.Call{Name: "TAKE"}
		for _, arg := range args {
			call.Args = append(call.Args, []byte(arg))
		}
		return on.Execute(t.Context(), []quorate.Call{call})[0].Err
	}
	fromJSON := func(op *quorate.Operation, body string) error {
		args, err := quorate.Engine().ArgsFromJSON(op, []byte(body))
		if err == nil {
			_, err = quorate.Engine().Check(takes, quorate.Call{Name: op.Name(), Args: args})
		}
		return err
	}
	fromText := func(text ...string) error {
		var words [][]byte
		for _, word := range text {
			words = append(words, []byte(word))
		}
		_, err := quorate.Engine().ArgsFromText(op, words)
		return err
	}
	for want, errs := range map[string][]error{
		"queue": {execute(), fromJSON(op, `{}`), fromJSON(op, `{"queue":1}`), fromJSON(op, `{"queue":"a","queue":"b"}`)},
		"count": {execute("a", "x"), execute("a", "-1"), fromText("a", "x"), fromJSON(op, `{"queue":"a","count":-1}`)},
		"why":   {fromJSON(op, `{"queue":"a","why":1}`)},
		"tags":  {fromJSON(op, `{"queue":"a","tags":1}`), fromJSON(op, `{"queue":"a","tags":[true]}`)},
		"more":  {fromJSON(op, `{"queue":"a","more":1}`)},
		"": {
			execute("closed"), fromJSON(op, ``), fromJSON(op, `[]`),
			fromJSON(op, `{"queue":"a","`+strings.Repeat("x", 300)+`":1}`), // nobody has such a field
		},
		"each":               {fromJSON(txn, `{"each":1}`)},
		"then":               {fromJSON(txn, `{"then":1}`)},
		"then[1]":            {fromJSON(txn, `{"then":[{"take":{"queue":"a"}},{"give":{}}]}`)},
		"else[0].take.queue": {fromJSON(txn, `{"else":[{"Take":{}}]}`)},
		"then[0].take.count": {fromJSON(txn, `{"then":[{"take":{"queue":"a","count":"x"}}]}`), fromJSON(txn, `{"then":[{"take":{"queue":"a","count":-1}}]}`)},
		"if[0].take":         {fromJSON(txn, `{"if":[{"take":{"queue":"a"},"equals":1}]}`)},
		"if[0]":              {fromJSON(txn, `{"if":[{"take":{"queue":"a"}}]}`)},
		"if[0].fails":        {fromJSON(txn, `{"if":[{"take":{"queue":"a"},"fails":1}]}`)},
		"if[0].equals":       {fromJSON(txn, `{"if":[{"take":{"queue":"a"},"equals":{}}]}`)},
	} {
		for i, err := range errs {
			e, ok := errors.AsType[*quorate.Error](err)
			if !ok || e.Field != want {
				t.Errorf("%q, case %d: %+v", want, i, err)
			}
		}
	}
}

func TestTextThatIsNilIsLeftOut(t *testing.T) {
	op := mustOperation(t, takes, "TAKE")
	args, err := quorate.Engine().ArgsFromText(op, [][]byte{[]byte("a"), nil, {}, nil})
	if want := [][]byte{[]byte("a"), nil, {}}; err != nil || !sameArgs(args, want) {
		t.Errorf("%q: %v, want %q", args, err, want)
	}
	if args, err = quorate.Engine().ArgsFromText(op, [][]byte{nil, nil}); err != nil || len(args) != 0 {
		t.Errorf("%q: %v", args, err)
	}
}
