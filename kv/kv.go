// Package kv is the built-in service: strings and counters under keys. It is
// written with nothing but the public language, as any other service is.
//
//	PUT      key value [ttl until nx xx keepttl]   the value    conflict if nx or xx refuses
//	GETPUT   key value [ttl until nx xx keepttl]   what was there, none if nothing
//	MPUT     [nx] key value …                      how many     all of them or none
//	CAS      key value [expect]                    the value    conflict if it is not expect
//
//	GET      key                                   the value    not_found if there is none
//	MGET     key …                                 the values, none where there is none
//	EXISTS   key …                                 how many of them there are
//	LENGTH   key                                   bytes of the text
//	RANGE    key start end                         a part of the text
//	VERSION  key                                   what changes with each write; 0: nothing is there
//
//	DELETE   key                                   whether it was there
//	MDELETE  key …                                 how many were there
//	GETDEL   key                                   the value that was there
//	FLUSH    [after]                               deletes all keys, a part at a time
//
//	INC      key [value text]                      the new value; a missing key starts at 0
//	INCFLOAT key value                             the same with fractions
//	APPEND   key value                             the new length
//	SETRANGE key offset value                      the new length
//
//	EXPIRE   key ttl|until [nx xx gt lt]           whether it was set
//	TTL      key                                   how long it stays
//	PERSIST  key                                   whether it would have ended
//	GETEX    key [ttl until persist]               the value
//
//	RENAME   key to [nx]                           whether it was renamed
//	COPY     key to [replace]                      whether it was copied
//
//	SCAN     [prefix after limit values pattern]   a page of keys in order
//	SIZE     [prefix after limit expiring]         how many keys there are
//	RANDOM   number                                a key that the number chooses
//
// A value is an integer of 64 bits or a string of bytes, and comes back as
// what it was put: "7" does not become 7. Its text is its bytes, or its digits.
// A command that fails changes nothing.
//
// A key stays until it is deleted, or until log time reaches the end that PUT,
// EXPIRE or GETEX gave it. PUT, GETPUT, MPUT and CAS begin anew: what they
// store stays for good if they do not say otherwise. Commands that change what
// is there leave its end as it is, and RENAME and COPY take it along.
package kv

import "github.com/quorate/quorate"

// Service is the built-in service.
var Service = quorate.Define("kv",
	quorate.Write[Put]("PUT"),
	quorate.Read[Get]("GET"),
	quorate.Write[Delete]("DELETE"),
	quorate.Write[Inc]("INC"),
	quorate.Write[Cas]("CAS"),
	quorate.Write[GetPut]("GETPUT"),
	quorate.Write[MPut]("MPUT"),
	quorate.Read[MGet]("MGET"),
	quorate.Read[Exists]("EXISTS"),
	quorate.Read[Length]("LENGTH"),
	quorate.Read[Range]("RANGE"),
	quorate.Read[Version]("VERSION"),
	quorate.Write[MDelete]("MDELETE"),
	quorate.Write[GetDel]("GETDEL"),
	quorate.Write[Flush]("FLUSH"),
	quorate.Write[IncFloat]("INCFLOAT"),
	quorate.Write[Append]("APPEND"),
	quorate.Write[SetRange]("SETRANGE"),
	quorate.Write[Expire]("EXPIRE"),
	quorate.Read[TTL]("TTL"),
	quorate.Write[Persist]("PERSIST"),
	quorate.Write[GetEx]("GETEX"),
	quorate.Write[Rename]("RENAME"),
	quorate.Write[Copy]("COPY"),
	quorate.Read[Scan]("SCAN"),
	quorate.Read[Size]("SIZE"),
	quorate.Read[Random]("RANDOM"),
)

// check refuses a key or a value that cannot be stored.
func check(key Key, values ...quorate.Value) error {
	for _, v := range values {
		if v.Kind() != quorate.Int && v.Kind() != quorate.Bytes {
			return quorate.Errorf(quorate.Invalid, "a value is an integer or a string, not of kind %s", v.Kind())
		}
	}
	return key.check()
}

// checkKeys refuses a list in which a key cannot be stored, or without any.
func checkKeys(keys []Key) error {
	for _, key := range keys {
		if err := key.check(); err != nil {
			return err
		}
	}
	if len(keys) == 0 {
		return quorate.Errorf(quorate.Invalid, "there is no key")
	}
	return nil
}

// missing is the error of what needs something under key.
func missing(key Key) error {
	return quorate.Errorf(quorate.NotFound, "there is nothing under key %.64q", string(key))
}

// given says that an option is there and on.
func given(option *bool) bool { return option != nil && *option }
