package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestLogIsJSONWhereNobodyWatches(t *testing.T) {
	for _, c := range []struct{ format, want string }{
		{"auto", `"msg":"hello"`},
		{"json", `"msg":"hello"`},
		{"text", `msg=hello`},
	} {
		var flags logFlags
		flags.bind(&cobra.Command{}, "warn")
		flags.format.value = c.format
		var out bytes.Buffer
		log := flags.logger(&out)
		log.Info("too little")
		log.Warn("hello")
		if text := out.String(); !strings.Contains(text, c.want) || strings.Contains(text, "too little") {
			t.Errorf("format %s at level warn logs %q", c.format, text)
		}
	}
}
