package respapi

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"math"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/resp"
)

// redisVersion is the version of Redis whose words this server speaks. Clients
// choose by it what they ask for.
const redisVersion = "7.0.15"

// defaultUser is the only user there is.
const defaultUser = "default"

// connectionCommands are those with which a client introduces itself, and
// leaves.
func connectionCommands() map[string]*command {
	return map[string]*command{
		"PING":   {own: ping},
		"ECHO":   {own: func(c *conn, args [][]byte) { c.value(bulk(args[1])) }},
		"SELECT": {own: selectDatabase},
		"HELLO":  {own: hello, noAuth: true},
		"AUTH":   {own: auth, noAuth: true},
		"QUIT": {own: func(c *conn, _ [][]byte) {
			c.ok()
			c.leaving = true
		}, noAuth: true, atOnce: true},
		"RESET": {own: reset, noAuth: true, atOnce: true},
	}
}

func bulk(text []byte) resp.Value { return resp.BulkValue(string(text)) }

func ping(c *conn, args [][]byte) {
	switch len(args) {
	case 1:
		c.simple("PONG")
	case 2:
		c.value(bulk(args[1]))
	default:
		c.value(Failure(refusal("wrong number of arguments for 'ping' command")))
	}
}

// selectDatabase answers SELECT. There is one database.
func selectDatabase(c *conn, args [][]byte) {
	n, err := integer(args[1])
	switch {
	case err != nil:
		c.value(Failure(err))
	case n < math.MinInt32 || n > math.MaxInt32:
		c.value(Failure(refusal("value is out of range, value must between %d and %d", math.MinInt32, math.MaxInt32)))
	case n != 0:
		c.value(Failure(refusal("DB index is out of range")))
	default:
		c.ok()
	}
}

// integer reads an integer as Redis does: no plus, no space, no zero in front.
func integer(text []byte) (int64, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != string(text) {
		return 0, refusal("value is not an integer or out of range")
	}
	return n, nil
}

// auth answers AUTH [user] <password>.
func auth(c *conn, args [][]byte) {
	user, password := []byte(defaultUser), args[len(args)-1]
	switch len(args) {
	case 2:
		if c.server.config.Password == "" {
			c.value(Failure(refusal("AUTH <password> called without any password configured for the default user. " +
				"Are you sure your configuration is correct?")))
			return
		}
	case 3:
		user = args[1]
	default:
		c.value(Failure(syntaxError()))
		return
	}
	if err := c.login(user, password); err != nil {
		c.value(Failure(err))
		return
	}
	c.ok()
}

func syntaxError() error { return refusal("syntax error") }

// login says whether there is such a user and password, and if so lets the
// client in. Without a password of ours any is right, as in Redis.
func (c *conn) login(user, password []byte) error {
	// Sums have the same length, so that the time tells nothing of either.
	given, want := sha256.Sum256(password), sha256.Sum256([]byte(c.server.config.Password))
	right := subtle.ConstantTimeCompare(given[:], want[:]) == 1 || c.server.config.Password == ""
	if string(user) != defaultUser || !right {
		c.server.config.Log.Debug("Redis client with a wrong password", "client", c.label.remote)
		return &Refusal{Prefix: "WRONGPASS", Text: "invalid username-password pair or user is disabled."}
	}
	c.admitted(true)
	return nil
}

// hello answers HELLO [version [AUTH user password] [SETNAME name]].
func hello(c *conn, args [][]byte) {
	version := c.version
	if len(args) > 1 {
		n, err := integer(args[1])
		switch {
		case err != nil:
			c.value(Failure(refusal("Protocol version is not an integer or out of range")))
			return
		case n != int64(resp.RESP2) && n != int64(resp.RESP3):
			c.refuse("NOPROTO", "unsupported protocol version")
			return
		}
		version = resp.Version(n)
	}
	if err := c.greet(args[min(2, len(args)):]); err != nil {
		c.value(Failure(err))
		return
	}
	c.version = version
	c.label.speak(version)
	c.value(resp.MapValue(
		resp.BulkValue("server"), resp.BulkValue("quorate"),
		resp.BulkValue("version"), resp.BulkValue(redisVersion),
		resp.BulkValue("proto"), resp.IntValue(int64(version)),
		resp.BulkValue("id"), resp.IntValue(int64(c.id)),
		resp.BulkValue("mode"), resp.BulkValue("standalone"),
		resp.BulkValue("role"), resp.BulkValue("master"),
		resp.BulkValue("modules"), resp.ArrayValue(),
	))
}

// greet follows the options of HELLO. Those before a wrong one take effect, as
// in Redis.
func (c *conn) greet(options [][]byte) error {
	for len(options) > 0 {
		switch {
		case is(options[0], "AUTH") && len(options) > 2:
			if err := c.login(options[1], options[2]); err != nil {
				return err
			}
			options = options[3:]
		case is(options[0], "SETNAME") && len(options) > 1:
			if err := checkName(options[1]); err != nil {
				return err
			}
			c.label.rename(string(options[1]))
			options = options[2:]
		default:
			return refusal("Syntax error in HELLO option '%s'", cut128(options[0], unknownBytesMax))
		}
	}
	if !c.known {
		return &Refusal{Prefix: "NOAUTH", Text: "HELLO must be called with the client already authenticated, otherwise the " +
			"HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"}
	}
	return nil
}

// is says that an argument is a word, in upper case here.
func is(arg []byte, word string) bool {
	return len(arg) == len(word) && strings.EqualFold(string(arg), word)
}

// clientNameBytesMax bounds what a client calls itself, so that the lines of 10,000
// clients in CLIENT LIST are 10 MiB at most.
const clientNameBytesMax = 256

// checkName says why a client cannot have a name, or nil.
func checkName(name []byte) error {
	if len(name) > clientNameBytesMax {
		return refusal("Client names cannot have more than %d bytes.", clientNameBytesMax)
	}
	if !printable(name) {
		return refusal("Client names cannot contain spaces, newlines or special characters.")
	}
	return nil
}

// printable says that text has only letters, digits and signs of ASCII, so that
// a line of CLIENT LIST stays one.
func printable(text []byte) bool {
	return bytes.IndexFunc(text, func(r rune) bool { return r < '!' || r > '~' }) < 0
}

// reset answers RESET: the connection is as if it had just been made.
func reset(c *conn, _ [][]byte) {
	c.endTransaction()
	c.version, c.mute = resp.RESP2, mute{skip: c.mute.skip} // what was said before this still holds for it
	c.label.speak(c.version)
	c.label.rename("")
	c.admitted(c.server.config.Password == "")
	c.simple("RESET")
}

// nameOf is what a client or a library calls itself, which CLIENT tells all.
func nameOf(text string) resp.Value {
	if text == "" {
		return resp.Value{}
	}
	return resp.BulkValue(text)
}
