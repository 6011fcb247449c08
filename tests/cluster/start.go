package main

import (
	"context"
	"net"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Starts every component and waits, as long as start lasts, until Jobs can be created.
func startAll(ctx, start context.Context, end context.CancelCauseFunc, files *files, flags flags) error {
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	credentials, err := newCredentials(files)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	etcd, err := startEtcd(start, files, end)
	if err != nil {
		return err
	}
	apiserver, err := newApiserver(credentials, etcd, listener, flags.apiserver)
	if err != nil {
		return err
	}
	controllers, err := newControllers(files, credentials, flags.controllers)
	if err != nil {
		return err
	}
	scheduler, err := newScheduler(files, flags.scheduler)
	if err != nil {
		return err
	}
	// Components in one process share their feature gates: these are set once, after the flags of all have been read.
	if err := compatibility.DefaultComponentGlobalsRegistry.Set(); err != nil {
		return err
	}

	config, err := writeKubeconfig(files, credentials, "https://"+listener.Addr().String())
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	go apiserver.run(ctx, "kube-apiserver", end)
	if err := until(start, func(ctx context.Context) error {
		return client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	}); err != nil {
		return err
	}
	go controllers.run(ctx, "kube-controller-manager", end)
	go scheduler.run(ctx, "kube-scheduler", end)
	return until(start, func(ctx context.Context) error { return admitsPods(ctx, client) })
}

// Pods are admitted once their service account exists, and their volumes mount once the authority is published: both
// are works of controllers, which so have begun.
func admitsPods(ctx context.Context, client kubernetes.Interface) error {
	core := client.CoreV1()
	if _, err := core.ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return err
	}
	_, err := core.ConfigMaps(metav1.NamespaceDefault).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
	return err
}

// Asks until there is no error, or says why it no longer asks.
func until(ctx context.Context, ask func(context.Context) error) error {
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		return ask(ctx) == nil, nil
	})
	if err != nil {
		return context.Cause(ctx)
	}
	return nil
}
