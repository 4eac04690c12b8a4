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

import (
	"github.com/quorate/quorate"
	"github.com/quorate/quorate/values"
)

// Service is the built-in service.
var Service = quorate.Define("kv",
	quorate.Write[Put]("PUT",
		quorate.Doc("Store a value under a key. It returns the value; with nx or xx it may be refused as a conflict.")),
	quorate.Read[Get]("GET",
		quorate.Doc("Return the value under a key. If there is none it is an error, not_found.")),
	quorate.Write[Delete]("DELETE",
		quorate.Doc("Delete a key. It returns whether it was there.")),
	quorate.Write[Inc]("INC",
		quorate.Doc("Add to the integer under a key. It returns the new value; a key that is not there begins at 0.")),
	quorate.Write[Cas]("CAS",
		quorate.Doc("Store a value if the old one is as expected. If not it is an error, conflict, with what is there.")),
	quorate.Write[GetPut]("GETPUT",
		quorate.Doc("Store a value and return the old one.")),
	quorate.Write[MPut]("MPUT",
		quorate.Doc("Store values under several keys, all or none. It returns how many.")),
	quorate.Read[MGet]("MGET",
		quorate.Doc("Return the values under several keys. All are of one moment, and null where there is none.")),
	quorate.Read[Exists]("EXISTS",
		quorate.Doc("Count the keys that are there.")),
	quorate.Read[Length]("LENGTH",
		quorate.Doc("Return how many bytes a value has.")),
	quorate.Read[Range]("RANGE",
		quorate.Doc("Return a part of a value. Positions below 0 count from the end, and both ends are in it.")),
	quorate.Read[Version]("VERSION",
		quorate.Doc("Return a number that changes with each write to a key. It is 0 where nothing is.")),
	quorate.Write[MDelete]("MDELETE",
		quorate.Doc("Delete several keys. It returns how many were there.")),
	quorate.Write[GetDel]("GETDEL",
		quorate.Doc("Delete a key and return its value.")),
	quorate.Write[Flush]("FLUSH",
		quorate.Doc("Delete all keys, a part at a time. It goes on behind next while there are more.")),
	quorate.Write[IncFloat]("INCFLOAT",
		quorate.Doc("Add to the number under a key, which may have a fraction.")),
	quorate.Write[Append]("APPEND",
		quorate.Doc("Append to a value. It returns the new length.")),
	quorate.Write[SetRange]("SETRANGE",
		quorate.Doc("Replace a part of a value. It returns the new length.")),
	quorate.Write[Expire]("EXPIRE",
		quorate.Doc("Let a key end after a time. It returns whether it was set.")),
	quorate.Read[TTL]("TTL",
		quorate.Doc("Return how long a key stays.")),
	quorate.Write[Persist]("PERSIST",
		quorate.Doc("Let a key stay for good. It returns whether it would have ended.")),
	quorate.Write[GetEx]("GETEX",
		quorate.Doc("Return a value and change when it ends.")),
	quorate.Write[Rename]("RENAME",
		quorate.Doc("Rename a key. It returns whether it was renamed.")),
	quorate.Write[Copy]("COPY",
		quorate.Doc("Copy a value to another key. It returns whether it was copied.")),
	quorate.Read[Scan]("SCAN",
		quorate.Doc("Return a page of keys in the order of their bytes.")),
	quorate.Read[Size]("SIZE",
		quorate.Doc("Count the keys, a part at a time.")),
	quorate.Read[Random]("RANDOM",
		quorate.Doc("Return a key that a number chooses.")),
)

// check refuses a key or a value that cannot be stored.
func check(key Key, stored ...quorate.Value) error {
	for _, v := range stored {
		if v.Kind() != values.KindInt && v.Kind() != values.KindBytes {
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
