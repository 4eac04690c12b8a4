package resp

// Looked is how many bytes the first look has gone over.
func Looked(r *Reader) int { return r.buffer.looked }

// LookedReply is the same for replies.
func LookedReply(r *ReplyReader) int { return r.buffer.looked }

// Held is the memory that a Reader keeps for what arrives.
func Held(r *Reader) int { return r.buffer.held() }

// HeldReply is the same for replies.
func HeldReply(r *ReplyReader) int { return r.buffer.held() }

func (b *buffer) held() (n int) {
	for _, chunk := range b.chunks {
		n += cap(chunk)
	}
	return n
}

// ParseNumber is parseNumber.
var ParseNumber = parseNumber
