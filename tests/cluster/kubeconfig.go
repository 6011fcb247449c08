package main

import (
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Writes the administrator's kubeconfig, which refers to no other file, and gives the client that it describes.
func writeKubeconfig(files *files, credentials *credentials, server string) (*rest.Config, error) {
	const name = "cluster"
	config := api.NewConfig()
	config.Clusters[name] = &api.Cluster{Server: server, CertificateAuthorityData: []byte(credentials.authorityPEM)}
	config.AuthInfos[name] = &api.AuthInfo{Token: credentials.administrator}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	content, err := clientcmd.Write(*config)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(files.kubeconfig, content, 0o600); err != nil {
		return nil, err
	}
	client, err := clientcmd.RESTConfigFromKubeConfig(content)
	if err != nil {
		return nil, err
	}
	client.QPS = -1
	return client, nil
}
