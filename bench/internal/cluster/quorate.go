package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is the path of the module that has the program quorate.
const module = "github.com/quorate/quorate"

// Build makes the program quorate from the sources that this one is made from,
// in dir, and returns its path. It is built in its own module: with the
// dependencies that users get.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := sources(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "quorate")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/quorate")
	build.Dir = root
	// What an interrupted build leaves behind goes with dir.
	build.Env = append(os.Environ(), "GOTMPDIR="+dir, "TMPDIR="+dir)
	build.Cancel = func() error { return build.Process.Signal(os.Interrupt) }
	build.WaitDelay = stopMax
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build quorate in %s: %w\n%s", root, err, out)
	}
	return path, nil
}

// sources is the folder of the module, as the one of this program names it.
func sources(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find the sources of quorate (run this inside of bench/): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Quorate starts three processes of the program at path binary, with all doors.
// Flags are further ones of its command serve.
func Quorate(ctx context.Context, dir, binary string, flags ...string) (*Cluster, error) {
	c, err := prepare(dir, Size)
	if err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(3 * Size)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	peers := addrs[2*Size:]
	for i, n := range c.Nodes {
		n.RESP, n.HTTP = addrs[i], addrs[Size+i]
		n.Process = newProcess(c.logOf(i), binary, append([]string{
			"serve", "--data-dir", n.Dir, "--log-format", "text",
			"--http", n.HTTP, "--resp", n.RESP, "--peer", peers[i], "--join", strings.Join(peers, ","),
		}, flags...)...)
	}
	c.ready = func(ctx context.Context, n *Node) error {
		_, err := get(ctx, "http://"+n.HTTP+"/readyz")
		return err
	}
	c.leads = func(ctx context.Context, n *Node) (bool, error) {
		body, err := get(ctx, "http://"+n.HTTP+"/v1/status")
		if err != nil {
			return false, err
		}
		var status struct{ Role string }
		err = json.Unmarshal(body, &status)
		return status.Role == "leader", err
	}
	return c.begin(ctx)
}

// get is the body of an answer that is well.
func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return body, err
}
