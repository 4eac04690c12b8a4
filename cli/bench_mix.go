package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// weightMax bounds the weight of one task, so that sums are those of numbers.
const weightMax = 1_000_000

// mix is what to call, and in which proportion.
type mix []share

// share is a task and its weight.
type share struct {
	task   *task
	weight uint64
}

// String is the mix as it can be typed.
func (m mix) String() string {
	if len(m) == 1 {
		return m[0].task.label
	}
	var words []string
	for _, s := range m {
		words = append(words, fmt.Sprintf("%s=%d", s.task.label, s.weight))
	}
	return strings.Join(words, ",")
}

// usual is the tasks that a mix can name, of a service that has put: they are
// the same for all services of keys, to be compared.
func (b *bench) usual() (tasks []*task) {
	for _, known := range []struct {
		label, operation, redis string
		words                   []string
	}{
		{"put", "PUT", "SET", []string{valuePrefix + placeholder, b.value()}},
		{"get", "GET", "GET", []string{valuePrefix + placeholder}},
		{"inc", "INC", "INCR", []string{counterPrefix + placeholder}},
	} {
		if !b.program.verbs[known.operation] {
			continue
		}
		t, err := newTask(known.label, b.program.operation(known.operation), known.words)
		if err != nil {
			continue // it is not what its name says
		}
		for _, c := range b.program.table.Commands {
			if c.Name == known.redis {
				t.command = c.Name
			}
		}
		tasks = append(tasks, t)
	}
	return tasks
}

// parseMix reads the labels of tasks with their weights, which are 1 where none
// is given.
func parseMix(words []string, known []*task) (m mix, err error) {
	for _, word := range words {
		s, err := parseShare(strings.TrimSpace(word), known)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(m, func(other share) bool { return other.task == s.task }) {
			return nil, fmt.Errorf("%s is there twice", s.task.label)
		}
		m = append(m, s)
	}
	if len(m) == 0 {
		return nil, errors.New("it names nothing to call")
	}
	return m, nil
}

func parseShare(word string, known []*task) (s share, err error) {
	name, number, weighted := strings.Cut(word, "=")
	var names []string
	for _, t := range known {
		names = append(names, t.label)
	}
	at := slices.Index(names, name)
	if at < 0 {
		return s, fmt.Errorf("%.40q is none of %s", name, strings.Join(names, ", "))
	}
	s = share{task: known[at], weight: 1}
	if weighted {
		s.weight, err = strconv.ParseUint(number, 10, 64)
		if err != nil || s.weight == 0 || s.weight > weightMax {
			return s, fmt.Errorf("the weight of %s is %.40q: it may be 1 to %d", name, number, weightMax)
		}
	}
	return s, nil
}

// parseCalls reads calls; one that is there several times is made more often.
func (b *bench) parseCalls() (m mix, err error) {
	for _, text := range b.callWords {
		at := slices.IndexFunc(m, func(s share) bool { return s.task.label == text })
		if at >= 0 {
			m[at].weight++
			continue
		}
		t, err := b.program.parseCall(text)
		if err != nil {
			return nil, fmt.Errorf("%.80q: %w", text, err)
		}
		m = append(m, share{t, 1})
	}
	return m, nil
}

// total is the sum of the weights.
func (m mix) total() (sum uint64) {
	for _, s := range m {
		sum += s.weight
	}
	return sum
}

// at is the task that a number below the total falls to.
func (m mix) at(n uint64) *task {
	for _, s := range m {
		if n < s.weight {
			return s.task
		}
		n -= s.weight
	}
	return m[0].task
}
