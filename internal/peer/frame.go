package peer

// After the handshake (preamble.go) a connection carries frames in both
// directions and nothing else. All numbers are little-endian.
//
//	offset 0        4        8                 16     17     18
//	       +--------+--------+-----------------+------+------+-- - - -
//	       | length | crc32c | id              | kind | form | body
//	       +--------+--------+-----------------+------+------+-- - - -
//	       | 4      | 4      | 8               | 1    | 1    | length-10
//
//	length  bytes after the first eight: 10 + the length of the body
//	crc32c  CRC-32C (Castagnoli) of those bytes
//	id      chosen by the dialler, rising by one with each call; an answer
//	        repeats the id of its call
//	kind    number of the handler, in call frames; 0 in all others
//	form    1 call     dialler to acceptor; on Bulk the header of the stream
//	        2 answer   acceptor to dialler
//	        3 failure  acceptor to dialler: the body is the text of the error
//	        4 ping     a sign of life; on all lanes but Bulk it asks for a pong
//	        5 pong     acceptor to dialler
//	        6 chunk    Bulk, dialler to acceptor: the next bytes of the stream
//	        7 end      Bulk, dialler to acceptor: the stream is complete
//	        8 abort    Bulk, dialler to acceptor: the body says why it is not
//
// Worked example, the call with id 1 of kind 7 with the body "hi":
//
//	0c 00 00 00              length 12
//	c9 e5 ac a2              crc32c of the 12 bytes below
//	01 00 00 00 00 00 00 00  id 1
//	07 01                    kind 7, form call
//	68 69                    "hi"
//
// A wrong checksum, a length above the limit of the lane, an unknown form, or
// a form that the other side may not send, ends the connection: after any of
// them the place of the next frame is unknown or the sender is not one of us.

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// form says what a frame is.
type form uint8

const (
	formCall    form = 1
	formAnswer  form = 2
	formFailure form = 3
	formPing    form = 4
	formPong    form = 5
	formChunk   form = 6
	formEnd     form = 7
	formAbort   form = 8
)

const (
	// framePrefixBytes is the length and the checksum.
	framePrefixBytes = 8
	// frameFixedBytes is what the length counts besides the body.
	frameFixedBytes = 10
	// frameHeaderBytes is everything before the body.
	frameHeaderBytes = framePrefixBytes + frameFixedBytes

	// bodyStepBytes is what a declared length alone makes us allocate. Beyond
	// it we allocate as much as has arrived, and only once all of that is full.
	// With the buffer below, and some bytes for an error, it is under 64 KiB.
	bodyStepBytes = 28 << 10

	// readBufferBytes lets one read take in many small frames. With eight other
	// members, four lanes and both directions it costs 64 x 32 KiB = 2 MiB.
	readBufferBytes = 32 << 10
)

// errMalformed is wrapped by all errors of bytes that are no frame of ours.
var errMalformed = errors.New("malformed frame")

// frame is one frame as it arrived.
type frame struct {
	id   uint64
	kind Kind
	form form
	body []byte
}

// checksum is the CRC-32C of bytes. The standard library keeps one copy of the
// table and uses the instruction of the processor where there is one.
func checksum(bytes []byte) uint32 {
	return crc32.Checksum(bytes, crc32.MakeTable(crc32.Castagnoli))
}

// appendFrame adds the bytes of f to dst.
func appendFrame(dst []byte, f frame) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(frameFixedBytes+len(f.body)))
	dst = binary.LittleEndian.AppendUint32(dst, 0) // the checksum, filled below
	dst = binary.LittleEndian.AppendUint64(dst, f.id)
	dst = append(dst, byte(f.kind), byte(f.form))
	dst = append(dst, f.body...)
	sum := checksum(dst[start+framePrefixBytes:])
	binary.LittleEndian.PutUint32(dst[start+4:], sum)
	return dst
}

// frameReader takes frames from one connection.
type frameReader struct {
	source       *bufio.Reader
	bodyBytesMax int
}

func newFrameReader(source io.Reader, bodyBytesMax int) *frameReader {
	return &frameReader{source: bufio.NewReaderSize(source, readBufferBytes), bodyBytesMax: bodyBytesMax}
}

// next returns the next frame. Its body stands in spare if it fits, else in
// fresh memory. The error is io.EOF only where the bytes end between frames.
func (r *frameReader) next(spare []byte) (frame, error) {
	header, err := r.source.Peek(frameHeaderBytes)
	if err != nil {
		if len(header) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	length := binary.LittleEndian.Uint32(header)
	if length < frameFixedBytes || int64(length) > int64(frameFixedBytes+r.bodyBytesMax) {
		return frame{}, fmt.Errorf("%w: length %d, limit %d", errMalformed, length, frameFixedBytes+r.bodyBytesMax)
	}
	want := binary.LittleEndian.Uint32(header[4:])
	f := frame{
		id:   binary.LittleEndian.Uint64(header[8:]),
		kind: Kind(header[16]),
		form: form(header[17]),
	}
	sum := checksum(header[framePrefixBytes:])
	r.source.Discard(frameHeaderBytes) // cannot fail: Peek has them
	if f.body, err = readBody(r.source, spare, int(length)-frameFixedBytes); err != nil {
		return frame{}, err
	}
	if sum = crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), f.body); sum != want {
		return frame{}, fmt.Errorf("%w: checksum %08x, its bytes have %08x", errMalformed, want, sum)
	}
	return f, nil
}

// readBody reads length bytes, into spare if they fit. It allocates by what
// has arrived and not by what was declared: at most twice the length, and
// before all has arrived at most twice that, or one step.
func readBody(source io.Reader, spare []byte, length int) ([]byte, error) {
	if length <= cap(spare) {
		return readInto(source, spare[:length])
	}
	first, err := readInto(source, make([]byte, min(length, bodyStepBytes)))
	if err != nil || len(first) == length {
		return first, err
	}
	pieces := [][]byte{first}
	for arrived := len(first); arrived < length; {
		piece, err := readInto(source, make([]byte, min(length-arrived, arrived)))
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, piece)
		arrived += len(piece)
	}
	body := make([]byte, 0, length)
	for _, piece := range pieces {
		body = append(body, piece...)
	}
	return body, nil
}

// readInto fills body.
func readInto(source io.Reader, body []byte) ([]byte, error) {
	if _, err := io.ReadFull(source, body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return body, nil
}
