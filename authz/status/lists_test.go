package status

import (
	"testing"
	"time"
)

func TestListsAreNamedWhileSomeAreForgotten(t *testing.T) {
	t.Parallel()
	l := NewLists(nil, Settings{Issuer: "https://id.example.com", Now: time.Now})
	one, many := map[int64]*held{}, map[int64]*held{}
	for number := range int64(1000) {
		many[number+1] = &held{}
		many[number+1].record.Store(&List{Number: number + 1})
	}
	one[1] = many[1]
	l.held.Store(&many)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				l.held.Store(&one)
				l.held.Store(&many)
			}
		}
	}()
	for range 200 {
		if n := len(l.URIs()); n != len(one) && n != len(many) {
			t.Errorf("%d lists, of %d or %d", n, len(one), len(many))
		}
	}
	close(stop)
	<-stopped
}
