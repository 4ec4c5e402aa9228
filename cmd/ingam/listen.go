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

// listen opens the server's listening sockets. Connections wait until run serves them.
func (s *server) listen(ctx context.Context) (err error) {
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if s.cfg.Metrics.Listen == "" {
		return nil
	}
	// The metrics have an address of their own, because they are for the operator and
	// not for everyone who can reach the server.
	if s.metricsListener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Metrics.Listen); err != nil {
		return errors.Join(fmt.Errorf("listen for metrics: %w", err), s.listener.Close())
	}
	return nil
}

// run serves until ctx ends. Then it finishes the requests in progress, and ends the
// background tasks.
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

// drain reports that the server is no longer ready, waits until no new requests arrive,
// and lets those in progress finish.
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
