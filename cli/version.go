package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			version := "unknown"
			if build, ok := debug.ReadBuildInfo(); ok {
				version = build.Main.Version
			}
			_, err := fmt.Fprintf(p.out, "%s %s %s %s/%s\n", p.name, version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return printed(err)
		},
	}
}
