package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"time"

	ct "github.com/google/certificate-transparency-go"
	cttls "github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
)

// A CT log (RFC 6962) that promises to include each precertificate and keeps none: an SCT is all
// that verifiers of signatures look at.
type ctLog struct {
	key *ecdsa.PrivateKey
	id  [sha256.Size]byte
}

func newCTLog() (*ctLog, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return &ctLog{key, sha256.Sum256(der)}, nil
}

func (l *ctLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/ct/v1/add-pre-chain" {
		http.NotFound(w, r)
		return
	}
	var request ct.AddChainRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	response, err := l.promise(request.Chain)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(response)
}

func (l *ctLog) promise(raw [][]byte) (*ct.AddChainResponse, error) {
	chain := make([]*ctx509.Certificate, len(raw))
	for i, der := range raw {
		certificate, err := ctx509.ParseCertificate(der)
		if ctx509.IsFatal(err) {
			return nil, err
		}
		chain[i] = certificate
	}
	timestamp := uint64(time.Now().UnixMilli())
	leaf, err := ct.MerkleTreeLeafFromChain(chain, ct.PrecertLogEntryType, timestamp)
	if err != nil {
		return nil, err
	}
	input, err := ct.SerializeSCTSignatureInput(
		ct.SignedCertificateTimestamp{SCTVersion: ct.V1, Timestamp: timestamp},
		ct.LogEntry{Leaf: *leaf})
	if err != nil {
		return nil, err
	}
	signature, err := cttls.CreateSignature(*l.key, cttls.SHA256, input)
	if err != nil {
		return nil, err
	}
	encoded, err := cttls.Marshal(signature)
	if err != nil {
		return nil, err
	}
	return &ct.AddChainResponse{SCTVersion: ct.V1, ID: l.id[:], Timestamp: timestamp, Signature: encoded}, nil
}
