package vocabulary

import "fmt"

// find is the word of a name.
func (w Words) find(name string) (Word, bool) {
	low, high := 0, len(w)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if w[middle].Name < name {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low < len(w) && w[low].Name == name {
		return w[low], true
	}
	return Word{}, false
}

// Common is what both know: an operation that is a query to one and a command
// to the other is known to neither.
func (w Words) Common(other Words) Words {
	var common Words
	for _, word := range w {
		if there, ok := other.find(word.Name); ok && there.Writes == word.Writes {
			word.Arguments = min(word.Arguments, there.Arguments)
			common = append(common, word)
		}
	}
	return common
}

// With is w and what other knows beside. Where an operation is a query to one
// and a command to the other it stays what it is in w.
func (w Words) With(other Words) Words {
	both := make(Words, 0, len(w)+len(other))
	for len(w) > 0 && len(other) > 0 {
		switch order := byName(w[0], other[0]); {
		case order < 0:
			both, w = append(both, w[0]), w[1:]
		case order > 0:
			both, other = append(both, other[0]), other[1:]
		default:
			word := w[0]
			if other[0].Writes == word.Writes {
				word.Arguments = max(word.Arguments, other[0].Arguments)
			}
			both, w, other = append(both, word), w[1:], other[1:]
		}
	}
	return append(append(both, w...), other...)
}

// Missing is what of other w does not know, the first of it, as it is called in
// a sentence. It is empty if w covers other.
func (w Words) Missing(other Words) string {
	for _, word := range other {
		known, ok := w.find(word.Name)
		switch {
		case !ok:
			return "operation " + word.Name
		case known.Writes != word.Writes && word.Writes:
			return "operation " + word.Name + " as a command"
		case known.Writes != word.Writes:
			return "operation " + word.Name + " as a query"
		case known.Arguments < word.Arguments:
			return beyond(known)
		}
	}
	return ""
}

// beyond is the first argument that an operation does not take.
func beyond(known Word) string {
	return fmt.Sprintf("argument %d of operation %s", known.Arguments+1, known.Name)
}
