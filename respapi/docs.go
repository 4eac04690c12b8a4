package respapi

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/resp"
)

// Places in an element of COMMAND INFO.
const (
	infoName = iota
	infoArity
	infoFlags
	infoFirstKey
	infoLastKey
	infoKeyStep
	infoCategories
	infoTips
	infoKeySpecs
	infoSubcommands
	infoPlaces
)

// ReadDocs reads what a redis-server 7.0 answered to COMMAND INFO <names…>
// and, behind it, COMMAND DOCS <names…>, both in RESP3. The keys of the map
// are the names in upper case; subcommands stand within their containers.
func ReadDocs(captured []byte) (map[string]Docs, error) {
	r := resp.NewReplyReader(bytes.NewReader(captured), resp.DefaultReplyLimits())
	infos, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read the answer to COMMAND INFO: %w", err)
	}
	texts, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read the answer to COMMAND DOCS: %w", err)
	}
	if infos.Kind() != resp.Array || texts.Kind() != resp.Map {
		return nil, fmt.Errorf("the answers are of kind %v and %v, not %v and %v", infos.Kind(), texts.Kind(), resp.Array, resp.Map)
	}
	docs := make(map[string]Docs, len(infos.List()))
	for i, info := range infos.List() {
		if len(info.List()) != infoPlaces {
			return nil, fmt.Errorf("element %d of COMMAND INFO has %d places, not %d", i, len(info.List()), infoPlaces)
		}
		name := strings.ToUpper(info.List()[infoName].Text())
		docs[name] = Docs{Info: info}
	}
	for name, text := range pairs(texts) {
		d, ok := docs[strings.ToUpper(name.Text())]
		if !ok || text.Kind() != resp.Map {
			return nil, fmt.Errorf("COMMAND DOCS tells of %.40q, and COMMAND INFO does not", name.Text())
		}
		d.Text = text
		docs[strings.ToUpper(name.Text())] = d
	}
	for name, d := range docs {
		if d.Text.Kind() != resp.Map {
			return nil, fmt.Errorf("COMMAND INFO tells of %.40q, and COMMAND DOCS does not", name)
		}
	}
	return docs, nil
}

// pairs yields the keys and values of a map.
func pairs(v resp.Value) func(yield func(key, value resp.Value) bool) {
	return func(yield func(key, value resp.Value) bool) {
		list := v.List()
		for i := 0; i+1 < len(list); i += 2 {
			if !yield(list[i], list[i+1]) {
				return
			}
		}
	}
}

// place is an element of what COMMAND INFO tells, or null where it tells
// nothing.
func (d *Docs) place(i int) resp.Value {
	if list := d.Info.List(); i < len(list) {
		return list[i]
	}
	return resp.Value{}
}

// arity is the number of arguments with the name, or the least number as a
// negative one; 0 where it is not told.
func (d *Docs) arity() int64 { return d.place(infoArity).Int() }

// field is what COMMAND DOCS tells under a name.
func (d *Docs) field(name string) resp.Value {
	for key, value := range pairs(d.Text) {
		if key.Text() == name {
			return value
		}
	}
	return resp.Value{}
}

// subcommands is the Docs of each subcommand, by its name in upper case.
func (d *Docs) subcommands() map[string]Docs {
	subs := make(map[string]Docs)
	for _, info := range d.place(infoSubcommands).List() {
		one := Docs{Info: info}
		subs[shortName(one.place(infoName).Text())] = one
	}
	for name, text := range pairs(d.field(subcommandsField)) {
		one := subs[shortName(name.Text())]
		one.Text = text
		subs[shortName(name.Text())] = one
	}
	return subs
}

// shortName is the name of a subcommand such as client|id, without its
// container and in upper case.
func shortName(full string) string {
	_, short, _ := strings.Cut(full, "|")
	return strings.ToUpper(short)
}

// with makes these the subcommands, instead of those that are told of.
func (d Docs) with(subcommands []Docs) Docs {
	var infos, texts []resp.Value
	for _, sub := range subcommands {
		infos = append(infos, sub.Info)
		texts = append(texts, sub.place(infoName), sub.Text)
	}
	info := append([]resp.Value(nil), d.Info.List()...)
	info[infoSubcommands] = resp.ArrayValue(infos...)
	var text []resp.Value
	for key, value := range pairs(d.Text) {
		if key.Text() != subcommandsField {
			text = append(text, key, value)
		}
	}
	text = append(text, resp.BulkValue(subcommandsField), resp.MapValue(texts...))
	return Docs{Info: resp.ArrayValue(info...), Text: resp.MapValue(text...)}
}

// subcommandsField is where COMMAND DOCS has them.
const subcommandsField = "subcommands"
