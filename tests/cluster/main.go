// Command cluster is a Kubernetes control plane in one process, for tests: etcd, kube-apiserver, the controllers that
// Jobs need and kube-scheduler, on loopback, in a directory of its own. It has no nodes: a test brings its kubelet.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Longer than a start takes on the slowest machine that is of use.
const startTimeout = 3 * time.Minute

// The end that a test asks for.
var errStopped = errors.New("stopped")

// What a test adds to the flags that this program gives each component.
type flags struct {
	apiserver, controllers, scheduler extra
}

type extra []string

func (e *extra) String() string { return strings.Join(*e, " ") }

func (e *extra) Set(flag string) error {
	*e = append(*e, flag)
	return nil
}

func main() {
	dir, flags := readFlags(os.Args[1:])
	ctx, end := context.WithCancelCause(context.Background())
	go endWithStdin(end)
	go endWithSignal(end)
	if err := serve(ctx, end, dir, flags); !errors.Is(err, errStopped) {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// Libraries add flags of their own to the usual set, so this one is another.
func readFlags(arguments []string) (string, flags) {
	var flags flags
	set := flag.NewFlagSet("cluster", flag.ExitOnError)
	dir := set.String("dir", "", "an existing directory for the kubeconfig, the log and all that is stored")
	set.Var(&flags.apiserver, "apiserver", "a flag for kube-apiserver; may be repeated")
	set.Var(&flags.controllers, "controllers", "a flag for kube-controller-manager; may be repeated")
	set.Var(&flags.scheduler, "scheduler", "a flag for kube-scheduler; may be repeated")
	_ = set.Parse(arguments)
	if *dir == "" || set.NArg() > 0 {
		set.Usage()
		os.Exit(2)
	}
	return *dir, flags
}

// A test that ends, however it ends, closes the pipe that it held.
func endWithStdin(end context.CancelCauseFunc) {
	_, _ = io.Copy(io.Discard, os.Stdin)
	end(errStopped)
}

func endWithSignal(end context.CancelCauseFunc) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
	end(errStopped)
}

// Starts the control plane, says that it is ready, and returns why it ended. Nothing is shut down with care: what it
// stored is thrown away, and the end of the process ends the rest.
func serve(ctx context.Context, end context.CancelCauseFunc, dir string, flags flags) error {
	files, err := newFiles(dir)
	if err != nil {
		return err
	}
	start, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %s", startTimeout))
	err = startAll(ctx, start, end, files, flags)
	cancel()
	if err == nil {
		fmt.Println("ready")
		<-ctx.Done()
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return errors.Join(err, files.remove(errors.Is(err, errStopped)))
}
