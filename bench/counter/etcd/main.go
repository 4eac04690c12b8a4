// Command etcd is the counter on an embedded etcd: add n to a named counter,
// exactly, durable, on three nodes, over HTTP. etcd cannot add: a counter is read
// and stored again if nobody has stored anything since.
//
//	etcd 0 data-directory peer0,peer1,peer2 http0,http1,http2 client-address
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
)

func main() {
	id, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	server, err := open(id, os.Args[2], strings.Split(os.Args[3], ","), os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	client := v3client.New(server.Server)
	http.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) { serve(w, r, client) })
	log.Fatal(http.ListenAndServe(strings.Split(os.Args[4], ",")[id], nil))
}

func open(id int, dir string, peers []string, client string) (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Name, config.Dir, config.LogLevel = name(id), dir, "error"
	at := []url.URL{{Scheme: "http", Host: peers[id]}}
	config.ListenPeerUrls, config.AdvertisePeerUrls = at, at
	at = []url.URL{{Scheme: "http", Host: client}}
	config.ListenClientUrls, config.AdvertiseClientUrls = at, at
	var first []string
	for i, peer := range peers {
		first = append(first, name(i)+"=http://"+peer)
	}
	config.InitialCluster = strings.Join(first, ",")
	server, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-server.Server.ReadyNotify():
		return server, nil
	case err := <-server.Err():
		return nil, err
	}
}

func name(id int) string { return fmt.Sprint("node", id) }

func serve(w http.ResponseWriter, r *http.Request, client *clientv3.Client) {
	var call struct {
		Name string `json:"name"`
		N    int64  `json:"n"`
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	sum, err := add(ctx, client, call.Name, call.N)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]int64{"value": sum}) // the caller has gone
}

// add adds to a counter until nobody was faster.
func add(ctx context.Context, client *clientv3.Client, name string, n int64) (int64, error) {
	key := "counter/" + name
	got, err := client.Get(ctx, key)
	if err != nil {
		return 0, err
	}
	for {
		var revision, was int64
		if len(got.Kvs) > 0 {
			revision = got.Kvs[0].ModRevision
			if was, err = strconv.ParseInt(string(got.Kvs[0].Value), 10, 64); err != nil {
				return 0, err
			}
		}
		if n > 0 && was > math.MaxInt64-n || n < 0 && was < math.MinInt64-n {
			return 0, errors.New("the sum does not fit 64 bits")
		}
		done, err := client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
			Then(clientv3.OpPut(key, strconv.FormatInt(was+n, 10))).
			Else(clientv3.OpGet(key)).
			Commit()
		if err != nil {
			return 0, err
		}
		if done.Succeeded {
			return was + n, nil
		}
		got = (*clientv3.GetResponse)(done.Responses[0].GetResponseRange())
	}
}
