package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/go-openapi/runtime"
	"github.com/go-openapi/strfmt"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"

	// The kinds of entry it takes.
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1"
	_ "github.com/sigstore/rekor/pkg/types/hashedrekord/v0.0.1"
	_ "github.com/sigstore/rekor/pkg/types/intoto/v0.0.1"
	_ "github.com/sigstore/rekor/pkg/types/intoto/v0.0.2"
)

const (
	rekorHost = "rekor.example.test"
	// Of the one tree there is.
	treeID = 1193050959916656506
	// The entries of earlier trees, which there never were: an entry's index in the log is not its index
	// in the tree, as with the public log.
	earlierEntries = 4163431
)

// Rekor v1 in memory: Rekor's own types judge and canonicalize what is proposed, and its entries carry a
// signed entry timestamp and an inclusion proof with a signed checkpoint, as Rekor makes them.
type rekor struct {
	signer signature.Signer
	key    crypto.PublicKey
	logID  string
	lock   sync.Mutex
	tree   *testonly.Tree
}

func newRekor() (*rekor, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := signature.LoadECDSASigner(key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(mustPKIX(key.Public()))
	return &rekor{signer: signer, key: key.Public(), logID: hex.EncodeToString(id[:]), tree: testonly.New(rfc6962.DefaultHasher)}, nil
}

func (l *rekor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/api/v1/log/entries":
		l.create(w, r)
	case r.Method == http.MethodGet && r.URL.Path == "/api/v1/log/publicKey":
		_, _ = w.Write(pemOf(l.key))
	default:
		http.NotFound(w, r)
	}
}

func (l *rekor) create(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	leaf, err := canonical(r)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(models.Error{Code: http.StatusBadRequest, Message: err.Error()})
		return
	}
	id, entry, err := l.add(r.Context(), leaf)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(w).Encode(models.Error{Code: http.StatusInternalServerError, Message: err.Error()})
		return
	}
	w.Header().Set("Location", "/api/v1/log/entries/"+id)
	w.Header().Set("ETag", id)
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(models.LogEntry{id: *entry})
}

func canonical(r *http.Request) ([]byte, error) {
	proposed, err := models.UnmarshalProposedEntry(r.Body, runtime.JSONConsumer())
	if err != nil {
		return nil, err
	}
	entry, err := types.CreateVersionedEntry(proposed)
	if err != nil {
		return nil, err
	}
	return types.CanonicalizeEntry(r.Context(), entry)
}

func (l *rekor) add(ctx context.Context, leaf []byte) (string, *models.LogEntryAnon, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	hash := rfc6962.DefaultHasher.HashLeaf(leaf)
	index := l.tree.Size()
	l.tree.Append(hash)

	logIndex, now := int64(index)+earlierEntries, time.Now().Unix()
	entry := &models.LogEntryAnon{LogID: &l.logID, LogIndex: &logIndex, Body: leaf, IntegratedTime: &now}
	promise, err := l.promise(*entry)
	if err != nil {
		return "", nil, err
	}
	proof, err := l.proof(ctx, index)
	if err != nil {
		return "", nil, err
	}
	entry.Verification = &models.LogEntryAnonVerification{InclusionProof: proof, SignedEntryTimestamp: strfmt.Base64(promise)}
	return fmt.Sprintf("%016x%x", treeID, hash), entry, nil
}

// The signed entry timestamp: over the entry without its proofs, in RFC 8785's form.
func (l *rekor) promise(entry models.LogEntryAnon) ([]byte, error) {
	payload, err := entry.MarshalBinary()
	if err != nil {
		return nil, err
	}
	canonicalized, err := jsoncanonicalizer.Transform(payload)
	if err != nil {
		return nil, err
	}
	return l.signer.SignMessage(bytes.NewReader(canonicalized))
}

func (l *rekor) proof(ctx context.Context, index uint64) (*models.InclusionProof, error) {
	size := l.tree.Size()
	path, err := l.tree.InclusionProof(index, size)
	if err != nil {
		return nil, err
	}
	hashes := make([]string, len(path))
	for i, hash := range path {
		hashes[i] = hex.EncodeToString(hash)
	}
	checkpoint, err := util.CreateAndSignCheckpoint(ctx, rekorHost, treeID, size, l.tree.Hash(), l.signer)
	if err != nil {
		return nil, err
	}
	root, text := hex.EncodeToString(l.tree.Hash()), string(checkpoint)
	treeSize, treeIndex := int64(size), int64(index)
	return &models.InclusionProof{Checkpoint: &text, Hashes: hashes, LogIndex: &treeIndex, RootHash: &root, TreeSize: &treeSize}, nil
}
