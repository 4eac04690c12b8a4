package quorate

import "strings"

// arguments is none: those of a transaction are no fields.
func (txnBinding) arguments() []argument { return nil }

// schema is a transaction in JSON. An operation in it has its name in lower
// case, though a transaction is read with names in any case. How deep lists may
// stand in what a condition equals, and that a list may be base64, is not told.
func (b txnBinding) schema() schema {
	definitions, queries, all := schema{}, schema{}, schema{}
	for i := range b.service.operations {
		op := &b.service.operations[i]
		if op.name == txnName {
			continue
		}
		name, its := strings.ToLower(op.name), schema{"$ref", "#/$defs/" + op.name}
		definitions = append(definitions, op.name, op.binds.schema())
		all = append(all, name, its)
		if !op.writes {
			queries = append(queries, name, its)
		}
	}
	definitions = append(definitions, "equals", anyOf(
		schema{"type", []string{"null", "boolean", "number", "string"}},
		base64Schema(),
		schema{"type", "array", "items", schema{"$ref", "#/$defs/equals"}},
	))
	queries = append(queries, "equals", schema{"$ref", "#/$defs/equals"}, "fails", schema{"type", "string", "minLength", 1})
	calls := schema{"type", []string{"array", "null"}, "items", only(all, 1)}
	conditions := schema{"type", []string{"array", "null"}, "items", append(only(queries, 2), "oneOf", []any{
		schema{"required", []string{"equals"}}, schema{"required", []string{"fails"}},
	})}
	return schema{
		"type", "object",
		"properties", schema{"if", conditions, "then", calls, "else", calls, "each", schema{"type", "boolean"}},
		"additionalProperties", false,
		"$defs", definitions,
	}
}

// only is an object with so many of these fields.
func only(properties schema, n int) schema {
	return schema{"type", "object", "properties", properties, "additionalProperties", false, "minProperties", n, "maxProperties", n}
}

// txnGives is a TxnResult in JSON.
func txnGives() schema {
	text := schema{"type", "string"}
	value := schema{"type", "object", "properties", schema{"value", schema{}}, "required", []string{"value"}, "additionalProperties", false}
	failure := schema{
		"type", "object", "properties", schema{"error", text, "code", text, "value", schema{}},
		"required", []string{"error", "code"}, "additionalProperties", false,
	}
	return schema{
		"type", "object",
		"properties", schema{
			"held", schema{"type", "boolean"},
			"results", schema{"type", "array", "items", anyOf(value, failure)},
		},
		"required", []string{"held", "results"}, "additionalProperties", false,
	}
}
