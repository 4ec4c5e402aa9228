package lists

import (
	"testing"
	"time"

	"github.com/ingam/ingam/authz/status"
)

func TestListsAreNamedWhileSomeAreForgotten(t *testing.T) {
	t.Parallel()
	l := New(nil, Settings{Base: "https://id.example.com/lists/", Now: time.Now})
	one, many := map[int64]*list{}, map[int64]*list{}
	for number := range int64(1000) {
		many[number+1] = &list{}
		many[number+1].record.Store(&status.List{Number: number + 1})
	}
	one[1] = many[1]
	l.known.Store(&many)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				l.known.Store(&one)
				l.known.Store(&many)
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
