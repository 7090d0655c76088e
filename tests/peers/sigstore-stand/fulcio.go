package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"

	ctclient "github.com/google/certificate-transparency-go/client"
	"github.com/google/certificate-transparency-go/jsonclient"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/sigstore/fulcio/pkg/ca"
	"github.com/sigstore/fulcio/pkg/ca/baseca"
	"github.com/sigstore/fulcio/pkg/config"
	v2 "github.com/sigstore/fulcio/pkg/generated/protobuf"
	v1 "github.com/sigstore/fulcio/pkg/generated/protobuf/legacy"
	"github.com/sigstore/fulcio/pkg/server"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// Fulcio's own server over a CA of two certificates; its gRPC services are called within the process.
type fulcio struct {
	root, intermediate *x509.Certificate
	handler            http.Handler
}

func newFulcio(base string, ct *ctLog) (*fulcio, error) {
	root, intermediate, key, err := newCA()
	if err != nil {
		return nil, err
	}
	cfg, err := issuerConfig()
	if err != nil {
		return nil, err
	}
	log, err := ctclient.New(base, &http.Client{Timeout: 10 * time.Second}, jsonclient.Options{PublicKeyDER: mustPKIX(ct.key.Public())})
	if err != nil {
		return nil, err
	}
	algorithms, err := signature.NewAlgorithmRegistryConfig([]protocommon.PublicKeyDetails{
		protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		protocommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384,
		protocommon.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512,
		protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256,
		protocommon.PublicKeyDetails_PKIX_ED25519,
		protocommon.PublicKeyDetails_PKIX_ED25519_PH,
	})
	if err != nil {
		return nil, err
	}
	authority := &baseca.BaseCA{SignerWithChain: &ca.SignerCerts{Signer: key, Certs: []*x509.Certificate{intermediate, root}}}
	service := server.NewGRPCCAServer(log, authority, algorithms, server.NewIssuerPool(cfg))
	mux := runtime.NewServeMux(runtime.WithMetadata(bearerToken), runtime.WithForwardResponseOption(statusOfLegacy))
	if err := v2.RegisterCAHandlerServer(context.Background(), mux, service); err != nil {
		return nil, err
	}
	if err := v1.RegisterCAHandlerServer(context.Background(), mux, server.NewLegacyGRPCCAServer(service)); err != nil {
		return nil, err
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(config.With(r.Context(), cfg)))
	})
	return &fulcio{root, intermediate, handler}, nil
}

func issuerConfig() (*config.FulcioConfig, error) {
	cfg := config.FulcioConfig{OIDCIssuers: map[string]config.OIDCIssuer{}}
	for url, kind := range issuerTypes {
		cfg.OIDCIssuers[url] = config.OIDCIssuer{IssuerURL: url, ClientID: "sigstore", Type: config.IssuerType(kind)}
	}
	data, err := json.Marshal(&cfg)
	if err != nil {
		return nil, err
	}
	return config.Read(data)
}

// The first version of the API has the token in a header.
func bearerToken(_ context.Context, r *http.Request) metadata.MD {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		return nil
	}
	return metadata.Pairs(server.MetadataOIDCTokenKey, token)
}

// The first version of the API answers 201, and its clients ask for that.
func statusOfLegacy(ctx context.Context, w http.ResponseWriter, _ proto.Message) error {
	md, _ := runtime.ServerMetadataFromContext(ctx)
	for _, value := range md.HeaderMD.Get(server.HTTPResponseCodeMetadataKey) {
		code, err := strconv.Atoi(value)
		if err != nil {
			return err
		}
		w.WriteHeader(code)
	}
	return nil
}

func newCA() (root, intermediate *x509.Certificate, key *ecdsa.PrivateKey, err error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber:          big.NewInt(serial),
			Subject:               pkix.Name{Organization: []string{"sigstore.example"}, CommonName: name},
			NotBefore:             time.Now().Add(-time.Hour),
			NotAfter:              time.Now().AddDate(10, 0, 0),
			KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
			BasicConstraintsValid: true,
			IsCA:                  true,
		}
	}
	rootTemplate := template(1, "fulcio root")
	if root, err = issue(rootTemplate, rootTemplate, rootKey, rootKey); err != nil {
		return nil, nil, nil, err
	}
	middle := template(2, "fulcio intermediate")
	middle.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	middle.MaxPathLenZero = true
	intermediate, err = issue(middle, root, key, rootKey)
	return root, intermediate, key, err
}

func issue(template, parent *x509.Certificate, subject, issuer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, subject.Public(), issuer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
