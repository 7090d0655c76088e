package main

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"time"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// All that a client needs, addresses.json last.
func (s *stand) write(dir, base string) error {
	root, intermediate := pemOfCertificate(s.fulcio.root.Raw), pemOfCertificate(s.fulcio.intermediate.Raw)
	trusted, err := s.trustedRoot()
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"fulcio.pem":              append(bytes.Clone(intermediate), root...),
		"fulcio-root.pem":         root,
		"fulcio-intermediate.pem": intermediate,
		"ctfe.pub":                pemOf(s.ct.key.Public()),
		"rekor.pub":               pemOf(s.rekor.key),
		"rekor2.pub":              pemOf(s.tiles.key),
		"tsa-chain.pem":           s.tsa.chain,
	}
	messages := signingConfigs(base)
	messages["trusted_root.json"] = trusted
	for name, message := range messages {
		if files[name], err = tidy(message); err != nil {
			return err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return writeAddresses(dir, base)
}

func writeAddresses(dir, base string) error {
	addresses, err := json.MarshalIndent(map[string]string{
		"fulcio": base, "rekor": base, "rekor2": base, "tsa": base + "/api/v1/timestamp", "token": base + "/token",
	}, "", " ")
	if err != nil {
		return err
	}
	unfinished := filepath.Join(dir, ".addresses.json")
	if err := os.WriteFile(unfinished, append(addresses, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, filepath.Join(dir, "addresses.json"))
}

// JSON with an indent that does not change from run to run, as protojson's own does.
func tidy(message proto.Message) ([]byte, error) {
	data, err := protojson.Marshal(message)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", " "); err != nil {
		return nil, err
	}
	return append(out.Bytes(), '\n'), nil
}

func (s *stand) trustedRoot() (*trust.TrustedRoot, error) {
	since := s.fulcio.root.NotBefore
	_, tilesID, err := note.KeyHash(tilesHost, s.tiles.key)
	if err != nil {
		return nil, err
	}
	var tsaChain [][]byte
	for block, rest := pem.Decode(s.tsa.chain); block != nil; block, rest = pem.Decode(rest) {
		tsaChain = append(tsaChain, block.Bytes)
	}
	p256 := common.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
	return &trust.TrustedRoot{
		MediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		Tlogs: []*trust.TransparencyLogInstance{
			logInstance("https://"+rekorHost, s.rekor.key, p256, keyID(s.rekor.key), since),
			logInstance("https://"+tilesHost, s.tiles.key, common.PublicKeyDetails_PKIX_ED25519, tilesID, since),
		},
		CertificateAuthorities: []*trust.CertificateAuthority{
			authority("fulcio", "https://fulcio.example.test", [][]byte{s.fulcio.intermediate.Raw, s.fulcio.root.Raw}, since),
		},
		Ctlogs: []*trust.TransparencyLogInstance{
			logInstance("https://ctfe.example.test", s.ct.key.Public(), p256, s.ct.id[:], since),
		},
		TimestampAuthorities: []*trust.CertificateAuthority{
			authority("tsa", "https://tsa.example.test/api/v1/timestamp", tsaChain, since),
		},
	}, nil
}

func logInstance(url string, key crypto.PublicKey, details common.PublicKeyDetails, id []byte, since time.Time) *trust.TransparencyLogInstance {
	return &trust.TransparencyLogInstance{
		BaseUrl:       url,
		HashAlgorithm: common.HashAlgorithm_SHA2_256,
		PublicKey:     &common.PublicKey{RawBytes: mustPKIX(key), KeyDetails: details, ValidFor: from(since)},
		LogId:         &common.LogId{KeyId: id},
	}
}

func authority(name, uri string, chain [][]byte, since time.Time) *trust.CertificateAuthority {
	certificates := make([]*common.X509Certificate, len(chain))
	for i, der := range chain {
		certificates[i] = &common.X509Certificate{RawBytes: der}
	}
	return &trust.CertificateAuthority{
		Subject:   &common.DistinguishedName{Organization: "sigstore.example", CommonName: name},
		Uri:       uri,
		CertChain: &common.X509CertificateChain{Certificates: certificates},
		ValidFor:  from(since),
	}
}

func signingConfigs(base string) map[string]proto.Message {
	service := func(version uint32, path, operator string) *trust.Service {
		return &trust.Service{Url: base + path, MajorApiVersion: version, ValidFor: from(time.Now().Add(-time.Hour)), Operator: operator}
	}
	config := func(stamped bool, logs ...*trust.Service) proto.Message {
		made := &trust.SigningConfig{
			MediaType:       "application/vnd.dev.sigstore.signingconfig.v0.2+json",
			CaUrls:          []*trust.Service{service(1, "", "example")},
			RekorTlogUrls:   logs,
			RekorTlogConfig: &trust.ServiceConfiguration{Selector: trust.ServiceSelector_ALL},
		}
		if stamped {
			made.TsaUrls = []*trust.Service{service(1, "/api/v1/timestamp", "example")}
			made.TsaConfig = &trust.ServiceConfiguration{Selector: trust.ServiceSelector_ANY}
		}
		return made
	}
	v1, v2 := service(1, "", "example"), service(2, "", "other.example")
	return map[string]proto.Message{
		"signing-config-rekor1.json":     config(false, v1),
		"signing-config-rekor1-tsa.json": config(true, v1),
		"signing-config-rekor2.json":     config(true, v2),
		"signing-config-both.json":       config(true, v1, v2),
		"signing-config-nolog.json":      config(true),
		"signing-config-none.json":       config(false),
	}
}

func from(start time.Time) *common.TimeRange {
	return &common.TimeRange{Start: timestamppb.New(start.Truncate(time.Second))}
}

func keyID(key crypto.PublicKey) []byte {
	id := sha256.Sum256(mustPKIX(key))
	return id[:]
}

// The keys are of kinds that can always be encoded.
func mustPKIX(key crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err)
	}
	return der
}

func pemOf(key crypto.PublicKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: mustPKIX(key)})
}

func pemOfCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
