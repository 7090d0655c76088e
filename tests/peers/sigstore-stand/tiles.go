package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	tilesHost   = "rekor2.example.test"
	witnessName = "witness.example.test"
)

// Rekor v2: the project's own server on files, a child of this process, and a proxy before it.
type tiles struct {
	key     ed25519.PublicKey
	witness ed25519.PrivateKey
	folder  string
	child   *exec.Cmd
	proxy   *httputil.ReverseProxy
}

func newTiles(ctx context.Context, witness bool) (*tiles, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &tiles{key: public}
	if witness {
		if _, t.witness, err = ed25519.GenerateKey(rand.Reader); err != nil {
			return nil, err
		}
	}
	if t.folder, err = os.MkdirTemp("", "rekor2"); err != nil {
		return nil, err
	}
	address, err := t.start(private)
	if err == nil {
		err = answers(ctx, address)
	}
	if err != nil {
		t.stop()
		return nil, err
	}
	t.proxy = httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	t.proxy.ModifyResponse = t.cosign
	return t, nil
}

func (t *tiles) start(private ed25519.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", err
	}
	keyFile := filepath.Join(t.folder, "key.pem")
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return "", err
	}
	ports, err := freePorts(3)
	if err != nil {
		return "", err
	}
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	t.child = exec.Command(program, "serve", "--hostname="+tilesHost, "--log-level=warn",
		"--storage-dir="+filepath.Join(t.folder, "log"), "--signer-filepath="+keyFile,
		"--http-port="+ports[0], "--grpc-port="+ports[1], "--http-metrics-port="+ports[2],
		"--checkpoint-interval=1s", "--batch-max-size=1")
	t.child.Stderr = os.Stderr
	t.child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return "127.0.0.1:" + ports[0], t.child.Start()
}

func (t *tiles) stop() {
	if t.child != nil && t.child.Process != nil {
		_ = t.child.Process.Kill()
		_ = t.child.Wait()
	}
	_ = os.RemoveAll(t.folder)
}

func freePorts(count int) ([]string, error) {
	var ports []string
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}

func answers(ctx context.Context, address string) error {
	for range 200 {
		response, err := http.Get("http://" + address + "/healthz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("its server did not answer within 10 s")
}

func (t *tiles) ServeHTTP(w http.ResponseWriter, r *http.Request) { t.proxy.ServeHTTP(w, r) }

// Adds the witness' line to the checkpoint of a new entry (C2SP tlog-cosignature).
func (t *tiles) cosign(response *http.Response) error {
	if t.witness == nil || response.StatusCode != http.StatusCreated {
		return nil
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	entry := map[string]any{}
	if err := json.Unmarshal(body, &entry); err != nil {
		return err
	}
	proof, _ := entry["inclusionProof"].(map[string]any)
	checkpoint, _ := proof["checkpoint"].(map[string]any)
	envelope, _ := checkpoint["envelope"].(string)
	text, _, found := strings.Cut(envelope, "\n\n")
	if !found {
		return fmt.Errorf("no checkpoint in %s", body)
	}
	checkpoint["envelope"] = envelope + t.cosignature(text+"\n", uint64(time.Now().Unix()))
	if body, err = json.Marshal(entry); err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	response.ContentLength = int64(len(body))
	response.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

func (t *tiles) cosignature(text string, at uint64) string {
	signature := ed25519.Sign(t.witness, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text))
	public := t.witness.Public().(ed25519.PublicKey)
	id := sha256.Sum256(append([]byte(witnessName+"\n\x04"), public...))
	line := append(binary.BigEndian.AppendUint64(id[:4:4], at), signature...)
	return fmt.Sprintf("— %s %s\n", witnessName, base64.StdEncoding.EncodeToString(line))
}
