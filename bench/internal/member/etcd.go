package member

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/quorate/quorate/bench/internal/loop"
)

// etcdQuota is as much as etcd advises at most. Its default of 2 GiB could end
// a long run with an alarm.
const etcdQuota = 8 << 30

// etcdMember is a server of etcd with its defaults, which sync the log before
// they answer and keep all revisions.
type etcdMember struct{ *embed.Etcd }

func openEtcd(config Config) (member, error) {
	c := embed.NewConfig()
	c.Name, c.Dir = etcdName(config.ID), config.Dir
	c.LogLevel = "error"
	c.QuotaBackendBytes = etcdQuota
	client, peer := etcdURL(config.Client), etcdURL(config.Peers[config.ID])
	c.ListenClientUrls, c.AdvertiseClientUrls = client, client
	c.ListenPeerUrls, c.AdvertisePeerUrls = peer, peer
	var first []string
	for i, addr := range config.Peers {
		first = append(first, etcdName(i)+"=http://"+addr)
	}
	c.InitialCluster = strings.Join(first, ",")
	server, err := embed.StartEtcd(c)
	if err != nil {
		return nil, fmt.Errorf("start member %d: %w", config.ID, err)
	}
	select {
	case <-server.Server.ReadyNotify():
		return etcdMember{server}, nil
	case err := <-server.Err():
		return nil, fmt.Errorf("start member %d: %w", config.ID, err)
	case <-time.After(startMax):
		return nil, errors.New("the cluster did not form")
	}
}

func etcdName(id int) string { return fmt.Sprint("node", id) }

func etcdURL(addr string) []url.URL { return []url.URL{{Scheme: "http", Host: addr}} }

func (m etcdMember) leads() bool {
	return uint64(m.Server.MemberID()) == m.Server.Lead()
}

// writer is not there: etcd is used through its client.
func (m etcdMember) writer(*rand.Rand, int) loop.Call { return nil }

func (m etcdMember) refused(error) bool { return false }

func (m etcdMember) close() { m.Close() }
