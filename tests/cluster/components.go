package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	cliflag "k8s.io/component-base/cli/flag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controlleroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// A component that has read its flags: it runs until it fails or the context ends.
type component func(context.Context) error

// Nothing outside of this process reaches the controllers and the scheduler, and nobody competes with them.
var alone = []string{"--secure-port=0", "--leader-elect=false"}

func newApiserver(credentials *credentials, etcd string, listener net.Listener, extra []string) (component, error) {
	options := apiserveroptions.NewServerRunOptions()
	options.SecureServing.Listener = listener
	options.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	err := parse(options.Flags(), []string{
		"--advertise-address=127.0.0.1",
		"--allow-privileged=true",
		"--authorization-mode=Node,RBAC",
		"--bind-address=127.0.0.1",
		"--client-ca-file=" + credentials.authority,
		// No address of this machine may stand in the endpoints of the service "kubernetes": loopback is refused there.
		"--endpoint-reconciler-type=none",
		"--etcd-servers=" + etcd,
		"--kubelet-client-certificate=" + credentials.kubeletClient,
		"--kubelet-client-key=" + credentials.kubeletKey,
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + credentials.serviceAccountKey,
		"--service-account-signing-key-file=" + credentials.serviceAccountKey,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--tls-cert-file=" + credentials.serving,
		"--tls-private-key-file=" + credentials.servingKey,
		"--token-auth-file=" + credentials.tokens,
	}, extra)
	return func(ctx context.Context) error {
		completed, err := options.Complete(ctx)
		if err != nil {
			return err
		}
		if errs := completed.Validate(); len(errs) > 0 {
			return utilerrors.NewAggregate(errs)
		}
		return apiserver.Run(ctx, completed)
	}, err
}

func newControllers(files *files, credentials *credentials, extra []string) (component, error) {
	options, err := controlleroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, err
	}
	all, disabled := controllers.KnownControllers(), controllers.ControllersDisabledByDefault()
	aliases := controllers.ControllerAliases()
	err = parse(options.Flags(all, disabled, aliases), append([]string{
		"--controllers=garbage-collector-controller,job-controller,namespace-controller,node-lifecycle-controller," +
			"pod-garbage-collector-controller,root-ca-certificate-publisher-controller,serviceaccount-controller," +
			"serviceaccount-token-controller,taint-eviction-controller,ttl-after-finished-controller",
		"--kube-api-burst=1000",
		"--kube-api-qps=1000",
		"--kubeconfig=" + files.kubeconfig,
		"--root-ca-file=" + credentials.authority,
		"--service-account-private-key-file=" + credentials.serviceAccountKey,
	}, alone...), extra)
	return func(ctx context.Context) error {
		config, err := options.Config(ctx, all, disabled, aliases)
		if err != nil {
			return err
		}
		return controllers.Run(ctx, config.Complete())
	}, err
}

func newScheduler(files *files, extra []string) (component, error) {
	options := scheduleroptions.NewOptions()
	err := parse(*options.Flags, append([]string{
		"--kube-api-burst=1000",
		"--kube-api-qps=1000",
		"--kubeconfig=" + files.kubeconfig,
	}, alone...), extra)
	return func(ctx context.Context) error {
		config, configured, err := scheduler.Setup(ctx, options)
		if err != nil {
			return err
		}
		return scheduler.Run(ctx, config, configured)
	}, err
}

// Sets flags of a component: those of this program first, so that a test has the last word.
func parse(named cliflag.NamedFlagSets, ours, extra []string) error {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, set := range named.FlagSets {
		flags.AddFlagSet(set)
	}
	return flags.Parse(append(ours, extra...))
}

// Runs a component beside the others; its end is the end of all.
func (c component) run(ctx context.Context, name string, end context.CancelCauseFunc) {
	err := c(ctx)
	if err == nil {
		err = errors.New("ended")
	}
	end(fmt.Errorf("%s: %w", name, err))
}
