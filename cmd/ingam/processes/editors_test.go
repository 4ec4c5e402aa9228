package processes

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestAThousandCallsChangeOneClient: over two servers, of those who have read the same version
// one changes it and the others are told. So the name, which each one counts up, says how many
// succeeded, and so does the audit log. (The storage suite tries the same on each engine.)
func TestAThousandCallsChangeOneClient(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	const calls, editors = 1000, 16
	secret := d.robot()
	d.must("client", "create", "--id", "edited", "--name", "0", "--grant", "client_credentials", "--auth", "client_secret_basic")
	servers := []*server{d.start(), d.start()}
	token := servers[0].token("robot", secret)
	call := func(s *server, method, body, version string) answer {
		r, err := http.NewRequest(method, s.url+adminPath+"/clients/edited", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return answer{}
		}
		r.Header.Set("Authorization", "Bearer "+token)
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("If-Match", version)
		}
		a, err := send(r)
		if err != nil {
			t.Error(err)
		}
		return a
	}
	var begun, won, told atomic.Int64
	var all sync.WaitGroup
	for i := range editors {
		all.Go(func() {
			for s := servers[i%2]; begun.Add(1) <= calls; {
				read := call(s, http.MethodGet, "", "")
				if read.status != http.StatusOK {
					t.Errorf("%d %s", read.status, read.body)
					return
				}
				name, _ := read.json(t)["name"].(string)
				n, err := strconv.Atoi(name)
				if err != nil {
					t.Error(err)
				}
				changed := call(s, http.MethodPatch, fmt.Sprintf(`{"name": "%d"}`, n+1), read.header.Get("ETag"))
				switch changed.status {
				case http.StatusOK:
					won.Add(1)
				case http.StatusPreconditionFailed:
					told.Add(1)
				default:
					t.Errorf("%d %s", changed.status, changed.body)
				}
			}
		})
	}
	all.Wait()
	name, _ := call(servers[1], http.MethodGet, "", "").json(t)["name"].(string)
	events := d.events(t, "client.update")
	if won.Load()+told.Load() != calls || name != fmt.Sprint(won.Load()) || int64(len(events)) != won.Load() || won.Load() == 0 {
		t.Errorf("%d succeeded and %d were told, of %d: the name is %s, and there are %d events", won.Load(), told.Load(), calls, name, len(events))
	}
	t.Logf("%d succeeded, %d were told", won.Load(), told.Load())
}
