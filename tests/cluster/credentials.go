package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// The paths of what the components show each other, and the administrator's token.
type credentials struct {
	authority                   string
	serving, servingKey         string
	kubeletClient, kubeletKey   string
	serviceAccountKey, tokens   string
	administrator, authorityPEM string
}

// A certificate authority that ends with the process.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newCredentials(files *files) (*credentials, error) {
	authority, err := newAuthority()
	if err != nil {
		return nil, err
	}
	serving, servingKey, err := authority.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return nil, err
	}
	kubeletClient, kubeletKey, err := authority.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	serviceAccounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serviceAccountKey, err := keyPEM(serviceAccounts)
	if err != nil {
		return nil, err
	}

	administrator := rand.Text()
	authorityPEM := certificatePEM(authority.certificate.Raw)
	credentials := &credentials{administrator: administrator, authorityPEM: string(authorityPEM)}
	for _, secret := range []struct {
		path    *string
		name    string
		content []byte
	}{
		{&credentials.authority, "authority.crt", authorityPEM},
		{&credentials.serving, "serving.crt", serving},
		{&credentials.servingKey, "serving.key", servingKey},
		{&credentials.kubeletClient, "kubelet-client.crt", kubeletClient},
		{&credentials.kubeletKey, "kubelet-client.key", kubeletKey},
		{&credentials.serviceAccountKey, "service-accounts.key", serviceAccountKey},
		{&credentials.tokens, "tokens.csv", []byte(administrator + ",administrator,administrator,system:masters\n")},
	} {
		if *secret.path, err = files.secret(secret.name, secret.content); err != nil {
			return nil, err
		}
	}
	return credentials, nil
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "cluster"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := sign(template, template, key, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{certificate, key}, err
}

// A certificate like the template and its key, in PEM.
func (a *authority) issue(template *x509.Certificate) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := sign(template, a.certificate, private, a.key)
	if err != nil {
		return nil, nil, err
	}
	key, err = keyPEM(private)
	return certificatePEM(der), key, err
}

// Valid from a little earlier, for clocks are set back too.
func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(30 * 24 * time.Hour)
	return x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
