package respapi

import (
	"fmt"
	"strings"
)

// kept is what the server says of itself where it is asked for what it does
// not keep.
const kept = "it keeps strings and counters"

// absences are the commands of Redis 7.0 for things that there are not here, by
// what these are called. A Table or a service may have a command of such a name
// all the same, and then it is not looked for here.
var absences = [...]struct{ things, names string }{
	{"bitmaps", "BITCOUNT BITFIELD BITFIELD_RO BITOP BITPOS GETBIT SETBIT"},
	{"geospatial indexes", "GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GEOSEARCHSTORE"},
	{"hashes", "HDEL HEXISTS HGET HGETALL HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HRANDFIELD HSCAN HSET HSETNX HSTRLEN HVALS"},
	{"hyperloglogs", "PFADD PFCOUNT PFDEBUG PFMERGE PFSELFTEST"},
	{"lists", "BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH LINDEX LINSERT LLEN LMOVE LMPOP LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM " +
		"RPOP RPOPLPUSH RPUSH RPUSHX"},
	{"channels", "PSUBSCRIBE PUBLISH PUBSUB PUNSUBSCRIBE SPUBLISH SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE UNSUBSCRIBE"},
	{"scripts or functions", "EVAL EVALSHA EVALSHA_RO EVAL_RO FCALL FCALL_RO FUNCTION SCRIPT"},
	{"sets", "SADD SCARD SDIFF SDIFFSTORE SINTER SINTERCARD SINTERSTORE SISMEMBER SMEMBERS SMISMEMBER SMOVE SPOP SRANDMEMBER SREM SSCAN " +
		"SUNION SUNIONSTORE"},
	{"sorted sets", "BZMPOP BZPOPMAX BZPOPMIN ZADD ZCARD ZCOUNT ZDIFF ZDIFFSTORE ZINCRBY ZINTER ZINTERCARD ZINTERSTORE ZLEXCOUNT ZMPOP " +
		"ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK " +
		"ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION ZUNIONSTORE"},
	{"streams", "XACK XADD XAUTOCLAIM XCLAIM XDEL XGROUP XINFO XLEN XPENDING XRANGE XREAD XREADGROUP XREVRANGE XSETID XTRIM"},
}

// absentCluster is answered as Redis does without its cluster mode: clients
// take it for a server that is a single one, which every node here is for them.
const absentCluster = "ASKING CLUSTER READONLY READWRITE"

// absentOthers are the other commands of Redis 7.0 that there are not here.
const absentOthers = "ACL BGREWRITEAOF BGSAVE DUMP FAILOVER LASTSAVE LATENCY LCS LOLWUT MEMORY MIGRATE MODULE MONITOR MOVE PSYNC REPLCONF " +
	"REPLICAOF RESTORE RESTORE-ASKING ROLE SAVE SHUTDOWN SLAVEOF SLOWLOG SORT SORT_RO SUBSTR SWAPDB SYNC"

// absent says of a command of Redis, by its name in upper case, that it is not
// there. It is asked only for what was found nowhere else.
func absent(name string) (text string, ok bool) {
	for _, a := range absences {
		if among(a.names, name) {
			return fmt.Sprintf("this server has no %s: %s", a.things, kept), true
		}
	}
	switch {
	case among(absentCluster, name):
		return "This instance has cluster support disabled", true
	case among(absentOthers, name):
		return fmt.Sprintf("this server has no %s: %s", name, kept), true
	}
	return "", false
}

// among says that a name is one of those in a line.
func among(line, name string) bool {
	for word := range strings.FieldsSeq(line) {
		if word == name {
			return true
		}
	}
	return false
}
