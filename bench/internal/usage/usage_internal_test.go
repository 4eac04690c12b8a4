package usage

import (
	"os"
	"testing"
	"time"
)

func TestFilesOfProcAreUnderstood(t *testing.T) {
	stat := "4711 (a (b) c d) S 1 4711 4711 0 -1 4194560 10 0 0 0 250 50 7 8 20 0 12 0 100 1000 10\n"
	io := "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 8192\ncancelled_write_bytes: 7\n"
	status := "Name:\ta\nVmPeak:\t 999 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n"
	got, err := parse([]byte(stat), []byte(io), []byte(status))
	if want := (Usage{CPU: 3 * time.Second, Written: 8192, Peak: 2 << 20}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for name, files := range map[string][3]string{
		"stat":   {"4711 (a) S 1", io, status},
		"io":     {stat, "wchar: 2\n", status},
		"status": {stat, io, "VmRSS:\t 1024 kB\n"},
	} {
		if _, err := parse([]byte(files[0]), []byte(files[1]), []byte(files[2])); err == nil {
			t.Errorf("a %s without the figure was understood", name)
		}
	}
}

func TestUsageOfThisProcessGrows(t *testing.T) {
	first, ok := Of(os.Getpid())
	if !ok {
		t.Skip("there is no /proc")
	}
	if first.Peak == 0 {
		t.Error("this process never had any memory")
	}
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		if now, _ := Of(os.Getpid()); now.Since(first).CPU > 0 {
			return
		}
	}
	t.Error("ten seconds of work took no CPU")
}

func TestProcessThatIsNotThereIsUnknown(t *testing.T) {
	if u, ok := Of(os.Getpid(), -1); ok {
		t.Errorf("process -1 took %+v", u)
	}
	if u, ok := Of(); ok {
		t.Errorf("no process took %+v", u)
	}
}
