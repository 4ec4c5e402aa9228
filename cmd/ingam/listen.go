package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// listen takes the server's addresses. Connections wait until run serves them.
func (s *server) listen(ctx context.Context) (err error) {
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if s.cfg.Metrics.Listen == "" {
		return nil
	}
	// At an address of their own: they are for the operator, and not for whoever can
	// reach the server.
	if s.metricsListener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Metrics.Listen); err != nil {
		return errors.Join(fmt.Errorf("listen for metrics: %w", err), s.listener.Close())
	}
	return nil
}

// run serves until ctx ends, finishes the requests that are under way, and ends what the
// server does beside.
func (s *server) run(ctx context.Context) error {
	defer s.writeLast(ctx)
	defer s.startTasks(ctx)()
	errorLog := slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)
	if s.metricsListener != nil {
		beside := &http.Server{Handler: s.measures.Handler(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, ErrorLog: errorLog}
		go beside.Serve(s.metricsListener)
		defer beside.Close()
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: s.cfg.HTTP.ReadHeaderTimeout.Std(),
		ReadTimeout:       s.cfg.HTTP.ReadTimeout.Std(),
		WriteTimeout:      s.cfg.HTTP.WriteTimeout.Std(),
		IdleTimeout:       s.cfg.HTTP.IdleTimeout.Std(),
		MaxHeaderBytes:    int(s.cfg.HTTP.MaxHeader),
		ErrorLog:          errorLog,
	}
	// Streams do not end by themselves.
	server.RegisterOnShutdown(s.stream.Close)
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }()
	s.log.InfoContext(ctx, "listening", "address", s.listener.Addr().String(), "issuer", s.cfg.Issuer.String(), "database", s.store.Engine())
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	return s.drain(ctx, server, served)
}

// drain says that the server is not ready any more, waits until nobody sends anything
// new, and gives the requests under way their time.
func (s *server) drain(ctx context.Context, server *http.Server, served <-chan error) error {
	s.health.draining.Store(true)
	s.log.InfoContext(ctx, "stopping: finishing the requests under way")
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-time.After(s.cfg.HTTP.DrainDelay.Std()):
	}
	patience, giveUp := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.HTTP.ShutdownTimeout.Std())
	defer giveUp()
	if err := server.Shutdown(patience); err != nil {
		server.Close()
		return fmt.Errorf("stopped with requests under way after %s: %w", s.cfg.HTTP.ShutdownTimeout, err)
	}
	s.log.InfoContext(ctx, "stopped")
	return nil
}
