package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"

	"k8s.io/klog/v2"
)

// Where everything is that the control plane reads or writes: below one directory.
type files struct {
	kubeconfig, log, secrets, etcd string
}

func newFiles(dir string) (*files, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	files := &files{
		kubeconfig: filepath.Join(dir, "kubeconfig"),
		log:        filepath.Join(dir, "log"),
		secrets:    filepath.Join(dir, "secrets"),
		etcd:       filepath.Join(dir, "etcd"),
	}
	for _, name := range []string{files.secrets, files.etcd} {
		if err := os.Mkdir(name, 0o700); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(files.log)
	if err != nil {
		return nil, err
	}
	return files, logTo(log)
}

// The components' own log, of which each line is written once and none beside it.
func logTo(log io.Writer) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	klog.InitFlags(flags)
	klog.SetOutput(log)
	return errors.Join(
		flags.Set("logtostderr", "false"), flags.Set("stderrthreshold", "FATAL"), flags.Set("one_output", "true"))
}

// The path of a secret, which it writes.
func (f *files) secret(name string, content []byte) (string, error) {
	path := filepath.Join(f.secrets, name)
	return path, os.WriteFile(path, content, 0o600)
}

// Leaves nothing behind, or the log for whoever asks why it ended.
func (f *files) remove(log bool) error {
	klog.Flush()
	err := errors.Join(os.RemoveAll(f.kubeconfig), os.RemoveAll(f.secrets), os.RemoveAll(f.etcd))
	if log {
		err = errors.Join(err, os.RemoveAll(f.log))
	}
	return err
}
