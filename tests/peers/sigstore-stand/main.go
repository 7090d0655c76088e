// A Sigstore of one's own on loopback: everything `cosign sign` asks for, and the files that
// `cosign verify` needs to trust it. For fixtures and for tests against the real cosign.
//
//	sigstore-stand --dir DIR [--listen 127.0.0.1:0] [--witness]
//	    serves until SIGTERM or SIGINT. Writes into DIR, addresses.json last of all (so wait for it):
//	      addresses.json          {"fulcio", "rekor", "rekor2", "tsa", "token"}: base addresses
//	      trusted_root.json       all that follows, for --trusted-root
//	      fulcio.pem, fulcio-root.pem, fulcio-intermediate.pem, ctfe.pub, rekor.pub, rekor2.pub,
//	      tsa-chain.pem           the same one by one (SIGSTORE_ROOT_FILE, SIGSTORE_CT_LOG_PUBLIC_KEY_FILE,
//	                              SIGSTORE_REKOR_PUBLIC_KEY, --timestamp-certificate-chain)
//	      signing-config-NAME.json  for cosign 3's --signing-config: rekor1, rekor1-tsa, rekor2 (with the
//	                              timestamp authority), both (an entry in each log), nolog (timestamp alone),
//	                              none (neither)
//	    --witness adds a witness' cosignature (C2SP tlog-cosignature) to the checkpoints of Rekor v2.
//
//	sigstore-stand token --dir DIR --identity WHO [--issuer URL] [--claim NAME=VALUE]...
//	    prints an identity token, without a line end: --identity-token takes a file of it. WHO is an e-mail address, or with the issuer
//	    https://token.actions.githubusercontent.com a workflow's URI, from which the other claims follow.
//
//	sigstore-stand log-dsse --dir DIR --bundle FILE
//	    prints the bundle with an entry of kind dsse 0.0.2 of Rekor v2 in place of the one it has: what
//	    clients older than cosign 3.1 asked of that log.
//
// Fulcio, the timestamp authority and Rekor v2 are the projects' own servers, run within the program;
// the CT log and Rekor v1 are small ones over the projects' own types, because the real ones need a
// database. No key outlives the process but that of Rekor v2, whose file goes when it ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	rekorv2 "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix/app"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("sigstore-stand: ")
	command := ""
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	var err error
	switch command {
	case "serve": // the command line of Rekor v2's own server, which this program starts as a child
		rekorv2.Execute()
	case "token":
		err = printToken(os.Args[2:])
	case "log-dsse":
		err = printWithDSSE(os.Args[2:])
	default:
		err = run(os.Args[1:])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("sigstore-stand", flag.ExitOnError)
	dir := flags.String("dir", "", "folder the files are written to")
	listen := flags.String("listen", "127.0.0.1:0", "address to serve on")
	witness := flags.Bool("witness", false, "cosign Rekor v2's checkpoints")
	_ = flags.Parse(args)
	if *dir == "" {
		return errors.New("--dir is missing")
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	base := "http://" + listener.Addr().String()
	stand, err := newStand(ctx, base, *witness)
	if err != nil {
		return err
	}
	defer stand.tiles.stop()
	server := &http.Server{Handler: stand.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := stand.write(*dir, base); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// The services, each with the keys it made for itself.
type stand struct {
	issuers *issuers
	ct      *ctLog
	fulcio  *fulcio
	rekor   *rekor
	tiles   *tiles
	tsa     *tsa
}

func newStand(ctx context.Context, base string, witness bool) (*stand, error) {
	issuers, err := newIssuers()
	if err != nil {
		return nil, fmt.Errorf("issuers: %w", err)
	}
	ct, err := newCTLog()
	if err != nil {
		return nil, fmt.Errorf("CT log: %w", err)
	}
	fulcio, err := newFulcio(base, ct)
	if err != nil {
		return nil, fmt.Errorf("fulcio: %w", err)
	}
	rekor, err := newRekor()
	if err != nil {
		return nil, fmt.Errorf("rekor v1: %w", err)
	}
	tsa, err := newTSA()
	if err != nil {
		return nil, fmt.Errorf("timestamp authority: %w", err)
	}
	tiles, err := newTiles(ctx, witness)
	if err != nil {
		return nil, fmt.Errorf("rekor v2: %w", err)
	}
	return &stand{issuers, ct, fulcio, rekor, tiles, tsa}, nil
}

// All services behind one address: their paths do not meet.
func (s *stand) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/ct/v1/", s.ct)
	mux.Handle("/api/v1/signingCert", s.fulcio.handler)
	mux.Handle("/api/v1/rootCert", s.fulcio.handler)
	mux.Handle("/api/v2/", s.fulcio.handler)
	mux.Handle("/api/v1/log/", s.rekor)
	mux.Handle("/api/v2/log/", s.tiles)
	mux.Handle("/api/v1/timestamp", s.tsa.handler)
	mux.Handle("/api/v1/timestamp/", s.tsa.handler)
	mux.HandleFunc("GET /token", s.issuers.serveToken)
	return mux
}

func printToken(args []string) error {
	flags := flag.NewFlagSet("token", flag.ExitOnError)
	dir := flags.String("dir", "", "folder of the running stand")
	identity := flags.String("identity", "", "e-mail address or workflow URI")
	issuer := flags.String("issuer", emailIssuer, "who vouches for it")
	query := url.Values{}
	flags.Func("claim", "NAME=VALUE (may be repeated)", func(claim string) error {
		query.Add("claim", claim)
		return nil
	})
	_ = flags.Parse(args)
	query.Set("identity", *identity)
	query.Set("issuer", *issuer)
	addresses, err := readAddresses(*dir)
	if err != nil {
		return err
	}
	response, err := http.Get(addresses["token"] + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("no token: %s", strings.TrimSpace(string(body)))
	}
	fmt.Print(string(body))
	return nil
}

func readAddresses(dir string) (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "addresses.json"))
	if err != nil {
		return nil, err
	}
	addresses := map[string]string{}
	return addresses, json.Unmarshal(data, &addresses)
}
