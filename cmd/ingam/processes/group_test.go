package processes

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/storage/storagetest"
)

// TestAServerThatIsKilledBetweenACommitAndItsAnswers: refreshes that shared a transaction
// are all done, and nobody was told. Whoever asks again gets the token that the lost answer
// had.
func TestAServerThatIsKilledBetweenACommitAndItsAnswers(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.must("migrate", "up")
	a := d.webClient("app")
	d.user("minji")
	r := &storagetest.Recorder{}
	s := d.launch(strings.TrimPrefix(d.issuer, "http://"), "INGAM_TEST_ASKS="+storagetest.Answer(t, r, time.Now))
	s.awaitReady()
	current, p := make([]string, 8), s.person()
	for i := range current {
		current[i] = a.tokens(s, p, "minji").Refresh
	}
	// Of writes, only those that share a transaction have a COMMIT.
	rotations := 0
	r.FailWith(func(statement string) error {
		switch {
		case strings.HasPrefix(statement, "BEGIN"):
			rotations = 0
		case strings.Contains(statement, "UPDATE grants"):
			rotations++
		case statement == "COMMIT" && rotations > 1:
			s.cmd.Process.Kill()
			<-s.waited
		}
		return nil
	})
	acknowledged := make([]int64, len(current))
	var group sync.WaitGroup
	for i := range current {
		group.Go(func() {
			for {
				form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {current[i]}, "client_id": {"app"}}
				request, err := http.NewRequest(http.MethodPost, s.url+"/oauth2/token", strings.NewReader(form.Encode()))
				if err != nil {
					panic(err)
				}
				request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				answer, err := send(request)
				if err != nil {
					return // killed
				}
				if answer.status != http.StatusOK {
					t.Errorf("%d %s", answer.status, answer.body)
					return
				}
				var set tokenSet
				mustUnmarshal(t, answer.body, &set)
				current[i], acknowledged[i] = set.Refresh, acknowledged[i]+1
			}
		})
	}
	group.Wait()

	stored, told := storagetest.Count(t, d.database, "SELECT SUM(generation - 1) FROM grants"), int64(0)
	for _, n := range acknowledged {
		told += n
	}
	if untold := int64(stored) - told; untold < 2 || untold > int64(len(current)) {
		t.Errorf("%d rotations are stored and %d were told", stored, told)
	}
	s = d.start()
	for i, token := range current {
		next := a.refresh(s, token).tokens(t).Refresh
		if again := a.refresh(s, next).tokens(t).Refresh; again == next {
			t.Errorf("grant %d does not go on", i)
		}
	}
	if n := storagetest.Count(t, d.database, "SELECT COUNT(*) FROM grants WHERE revoked_ms IS NOT NULL"); n != 0 {
		t.Errorf("%d grants were taken for stolen", n)
	}
}
