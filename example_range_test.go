package quorate_test

import (
	"context"
	"fmt"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
)

// postKey orders what is posted by room, and in a room by number.
type postKey struct {
	Room   string
	Number int64
}

var (
	posts = quorate.NewTable[postKey, string]("posts")
	last  = quorate.NewCounters("posts")
)

// Post posts a text in a room.
type Post struct{ Room, Text string }

// Apply implements quorate.Command.
func (p Post) Apply(tx *quorate.Tx) (int64, error) {
	number, err := last.Add(tx, p.Room, 1)
	if err == nil {
		posts.Put(tx, postKey{p.Room, number}, p.Text)
	}
	return number, err
}

// Page is what was posted in a room after a number: so much of it, and the
// number that the next page begins after.
type Page struct {
	Room  string
	After int64
	Count int
}

// Posts is a page of a room.
type Posts struct {
	Texts []string
	Next  int64
}

// Read implements quorate.Query.
func (p Page) Read(view *quorate.View) (page Posts, err error) {
	inRoom := quorate.Leading(postKey{Room: p.Room}, 1)
	for key, text := range posts.Range(view, inRoom, quorate.After(postKey{p.Room, p.After})) {
		if len(page.Texts) == p.Count {
			break
		}
		page.Texts, page.Next = append(page.Texts, text), key.Number
	}
	return page, nil
}

// A page ends where the caller breaks off, and the next one begins after the
// last key it showed.
func ExampleTable_Range() {
	service := quorate.Define("chat", quorate.Write[Post]("POST"), quorate.Read[Page]("PAGE"))
	var on quorate.Executor = memory.New(service) // in a program, a node of service
	ctx := context.Background()

	for _, text := range []string{"hello", "who is there?", "me"} {
		_, _ = quorate.Do(ctx, on, Post{Room: "lobby", Text: text})
		_, _ = quorate.Do(ctx, on, Post{Room: "lobby 2", Text: "(nobody)"})
	}
	page, err := quorate.Ask(ctx, on, Page{Room: "lobby", Count: 2})
	fmt.Printf("%q %v\n", page.Texts, err)
	page, err = quorate.Ask(ctx, on, Page{Room: "lobby", After: page.Next, Count: 2})
	fmt.Printf("%q %v\n", page.Texts, err)
	// Output:
	// ["hello" "who is there?"] <nil>
	// ["me"] <nil>
}
